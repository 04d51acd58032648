import Glibc

/// Tells systemd that this process is ready and alive (sd_notify: READY=1, WATCHDOG=1), where it asks for that. An
/// agent that hangs is ended by WatchdogSec=, and a router that is bound to it with it.
/// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
struct SupervisorNotice: Sendable {
    private let path: String?

    init() {
        path = getenv("NOTIFY_SOCKET").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    func ready() { send("READY=1") }
    func alive() { send("WATCHDOG=1") }

    private func send(_ text: String) {
        guard let path else { return }
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        // A name that begins with @ lies in the abstract space: its first byte is zero.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                sendto(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL), name, length)
            }
        }
    }
}
