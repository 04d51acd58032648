import Glibc

/// How long the host's own supervisor lets this process hang before it ends it, and a router that is bound to it with it:
/// `WatchdogSec=` of the unit, as systemd tells it in WATCHDOG_USEC.
/// https://www.freedesktop.org/software/systemd/man/latest/sd_watchdog_enabled.html
struct SupervisorLimit: Sendable, Hashable {
    /// Milliseconds; nil where nobody watches this process.
    let milliseconds: Int64?

    /// - Parameters:
    ///   - microseconds: the value of WATCHDOG_USEC.
    ///   - process: the value of WATCHDOG_PID: another process than this one is not meant.
    init(microseconds: String?, process: String?, own: Int32) {
        guard let microseconds, let value = Int64(microseconds), value > 0,
            process.map({ $0.isEmpty || $0 == "\(own)" }) ?? true
        else {
            milliseconds = nil
            return
        }
        milliseconds = value / 1_000
    }

    static var current: SupervisorLimit {
        func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        return SupervisorLimit(microseconds: text("WATCHDOG_USEC"), process: text("WATCHDOG_PID"), own: getpid())
    }

    /// Why `router.bound = true` says more than this supervisor does; nil where it does not.
    func objection(_ rules: QuorumRules) -> String? {
        guard rules.bound else { return nil }
        guard let milliseconds else {
            return "no supervisor watches this agent (WATCHDOG_USEC is not set): should it hang, its router stays open"
        }
        guard milliseconds > rules.supervisor else { return nil }
        return "this agent's supervisor ends it after \(milliseconds) ms, and others count on \(rules.supervisor) ms"
    }
}
