import MySQLWire
import Synchronization

/// Closes the router when its lease is over, whatever the loop is doing at that moment, and tells the supervisor that
/// this much at least is alive. An agent whose guard stands still is ended by its supervisor, and a bound router with
/// it; so one of the two always happens in time (`QuorumRules.fenceWait`).
final class LeaseGuard: Sendable {
    private let until = Mutex<ContinuousClock.Instant?>(nil)
    private let controller: RouterController
    private let notice = SupervisorNotice()

    init(_ controller: RouterController) { self.controller = controller }

    /// - Parameter instant: nil where the router needs no lease: it is closed already, or leads to a dead process.
    func set(_ instant: ContinuousClock.Instant?) { until.withLock { $0 = instant } }

    /// What was set last, while it lies ahead.
    var end: ContinuousClock.Instant? { until.withLock { $0 } }

    func watch() async {
        notice.ready()
        var told = Deadline.after(.zero)
        while !Task.isCancelled {
            if let end = until.withLock({ $0 }), end <= .now {
                set(nil)
                await controller.close()
            }
            if told.hasPassed {
                notice.alive()
                told = .after(.milliseconds(500))
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }
}
