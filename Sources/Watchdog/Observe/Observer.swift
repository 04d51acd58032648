import MySQLWire

/// Looks at both servers and the local router at once.
struct Observer: Sendable {
    let configuration: Configuration
    let router: LocalRouter

    /// Never fails and never takes longer than the probe timeout: what does not answer is classed.
    func look() async -> Observation {
        let deadline = Deadline.after(configuration.agent.probeTimeout)
        async let a = look(.a, deadline)
        async let b = look(.b, deadline)
        async let lead = routerView(deadline: deadline)
        let destinations = try? await router.currentDestinations()
        return await Observation(a: a, b: b, router: lead, destinations: destinations)
    }

    private func look(_ id: ServerID, _ deadline: Deadline) async -> ServerView {
        await ServerProbe(configuration, .plain).look(
            configuration.connectionOptions(configuration.servers[id]), deadline: deadline)
    }

    private func routerView(deadline: Deadline) async -> RouterView {
        do {
            return .leadsTo(uuid: try await router.identity(deadline: deadline).lowercased())
        } catch {
            return .noAnswer("\(error)")
        }
    }
}
