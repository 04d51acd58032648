import Glibc
import Logging
import MySQLWire

/// Has the router closed when its lease is over, whatever the loop is doing at that moment, and tells the supervisor that
/// this much at least is alive. An agent whose guard stands still is ended by its supervisor, and a bound router with
/// it; so one of the two always happens in time (`QuorumRules.fenceWait`).
struct LeaseGuard: Sendable {
    private let controller: RouterController
    /// The router stops with this process (`router.bound`).
    private let isBound: Bool
    private let logger: Logger
    private let notice = SupervisorNotice()

    /// EX_SOFTWARE of sysexits.h.
    private static let routerNotClosed: Int32 = 70

    init(_ controller: RouterController, isBound: Bool, _ logger: Logger) {
        self.controller = controller
        self.isBound = isBound
        self.logger = logger
    }

    func watch() async {
        notice.ready()
        var told = Deadline.after(.zero)
        while !Task.isCancelled {
            // Where a close does not come to its end the supervisor is told nothing, and closes the router in its way.
            let isWell = await controller.tick()
            if isBound, await controller.isPastLimit {
                logger.log(.endsForRouter, ["limit": "\(QuorumRules.closeLimit) ms"])
                // Nothing is waited for: what does not end is the reason for this.
                _exit(Self.routerNotClosed)
            }
            if isWell, told.hasPassed {
                notice.alive()
                told = .after(.milliseconds(500))
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }
}
