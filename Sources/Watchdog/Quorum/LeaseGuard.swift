import MySQLWire

/// Has the router closed when its lease is over, whatever the loop is doing at that moment, and tells the supervisor that
/// this much at least is alive. An agent whose guard stands still is ended by its supervisor, and a bound router with
/// it; so one of the two always happens in time (`QuorumRules.fenceWait`).
struct LeaseGuard: Sendable {
    private let controller: RouterController
    private let notice = SupervisorNotice()

    init(_ controller: RouterController) { self.controller = controller }

    func watch() async {
        notice.ready()
        var told = Deadline.after(.zero)
        while !Task.isCancelled {
            // Where a close does not come to its end the supervisor is told nothing, and closes the router in its way.
            let isWell = await controller.tick()
            if isWell, told.hasPassed {
                notice.alive()
                told = .after(.milliseconds(500))
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }
}
