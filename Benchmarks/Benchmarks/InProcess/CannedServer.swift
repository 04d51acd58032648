import Glibc

/// A server in this process that knows one login and two statements, so that nothing but the driver and the sockets of
/// loopback is measured. Answers are ready bytes; a statement that begins with `r` gets rows.
final class CannedServer: Sendable {
    let port: UInt16
    static let rows = 100_000

    init() {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, size) + listen(listener, 64) + getsockname(listener, pointer, &size)
            }
        }
        guard status == 0 else { fatalError("no listener on loopback") }
        port = UInt16(bigEndian: address.sin_port)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Listener(listener))
        pthread_create(&thread, nil, serve, box.toOpaque())
    }
}

private final class Listener: Sendable {
    let descriptor: Int32
    let short = Wire.result(rows: 1)
    let long = Wire.result(rows: CannedServer.rows)
    init(_ descriptor: Int32) { self.descriptor = descriptor }
}

private let serve: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
    guard let argument else { return nil }
    let listener = Unmanaged<Listener>.fromOpaque(argument).takeUnretainedValue()
    while true {
        let client = accept(listener.descriptor, nil, nil)
        if client < 0 { continue }
        var on: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        Wire.send(client, Wire.greeting)
        if Wire.packet(client) != nil {
            Wire.send(client, Wire.loggedIn)
            while let statement = Wire.packet(client), statement.first == 3 {
                Wire.send(client, statement.dropFirst().first == UInt8(ascii: "r") ? listener.long : listener.short)
            }
        }
        close(client)
    }
}

/// Bytes of the protocol.
private enum Wire {
    static let greeting: [UInt8] = {
        // CLIENT_PLUGIN_AUTH, SECURE_CONNECTION, PROTOCOL_41, DEPRECATE_EOF, the lengths of authentication data.
        let flags: UInt32 = 1 << 9 | 1 << 15 | 1 << 19 | 1 << 21 | 1 << 24
        var payload: [UInt8] = [10] + Array("9.7.4\0".utf8) + [1, 0, 0, 0] + Array(1...8) + [0]
        payload += [UInt8(flags & 0xFF), UInt8(flags >> 8 & 0xFF), 255, 2, 0, UInt8(flags >> 16 & 0xFF)]
        payload += [UInt8(flags >> 24), 21] + [UInt8](repeating: 0, count: 10) + Array(9...20) + [0]
        return frame(0, payload + Array("caching_sha2_password\0".utf8))
    }()
    static let loggedIn = frame(2, [1, 3]) + frame(3, [0, 0, 0, 2, 0, 0, 0])

    static func frame(_ sequence: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16), sequence] + payload
    }

    static func result(rows: Int) -> [UInt8] {
        var sequence: UInt8 = 1
        func next(_ payload: [UInt8]) -> [UInt8] {
            defer { sequence &+= 1 }
            return frame(sequence, payload)
        }
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        var bytes = next([3])
        for name in ["id", "name", "note"] {
            bytes += next(
                text("def") + text("s") + text("t") + text("t") + text(name) + text(name)
                    + [12, 255, 0, 80, 0, 0, 0, name == "id" ? 8 : 253, 0, 0, 0, 0, 0])
        }
        for row in 0..<rows {
            bytes += next(text("\(row)") + text("customer \(row)") + text(String(repeating: "x", count: 120)))
        }
        return bytes + next([0xFE, 0, 0, 2, 0, 0, 0])
    }

    static func send(_ client: Int32, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(client, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }

    static func packet(_ client: Int32) -> [UInt8]? {
        var head = [UInt8](repeating: 0, count: 4)
        guard recv(client, &head, 4, Int32(MSG_WAITALL)) == 4 else { return nil }
        var payload = [UInt8](repeating: 0, count: Int(head[0]) | Int(head[1]) << 8)
        guard recv(client, &payload, payload.count, Int32(MSG_WAITALL)) == payload.count else { return nil }
        return payload
    }
}
