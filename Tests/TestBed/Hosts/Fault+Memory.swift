import Foundation
import MySQLWire

/// What becomes of agents that have lost what they had on disk.
extension Fault {
    static let memory: [Fault] = [
        Fault("S79", "an agent loses its memory while all is well; later the primary dies", .failover) { context in
            let backend = context.anyBackend()
            await backend.killAgent()
            try backend.loseMemory()
            try backend.startAgent()
            try await context.explained(["is the primary", "replication runs"], on: backend)
            await context.wait(.seconds(3))
            try await context.dies()
        },
        Fault(
            "S79b", "an agent comes back without its memory, on the side of the primary that was replaced", .failover,
            network: true, replication: .semiSynchronous
        ) {
            context in
            let network = try context.network()
            let hosts = context.backendsAtRandom()
            let (stays, moves, rest) = (hosts[0], hosts[1], hosts.dropFirst(2).map(\.name))
            context.begin()
            try network.cut(
                [context.primary.name, stays.name], from: [context.replica.name, moves.name] + rest)
            try await context.failedOver()
            await moves.killAgent()
            try moves.loseMemory()
            // Nobody is to look while the cut moves.
            for backend in hosts { backend.freezeAgent() }
            try network.heal()
            try network.cut([context.primary.name, stays.name, moves.name], from: [context.replica.name] + rest)
            for backend in hosts { backend.thawAgent() }
            let moved = ContinuousClock.now
            try moves.startAgent()
            await context.wait(.seconds(14))
            let uuid = context.primary.savedUUID
            let stale = context.trial.writers.log.acknowledged(since: moved).count { $0.server == uuid }
            if stale > 0 { context.violation("\(stale) rows were acknowledged by the primary that was replaced") }
            try network.heal()
        },
        Fault("S79c", "all agents lose their memory while the replica is away; an operator trusts the primary", .stays)
        {
            context in
            context.begin()
            await context.replica.kill()
            for backend in context.cluster.backends {
                await backend.killAgent()
                try backend.loseMemory()
                try backend.startAgent()
            }
            let backend = context.anyBackend()
            try await context.explained(["remembers nothing", "trust \(context.primary.name)"], on: backend)
            await context.wait(.seconds(6))
            let name = context.primary.name
            let asked = ContinuousClock.now
            let (status, said) = try await backend.command(["trust", name])
            if status != 0 || !said.contains("at work there: ") {
                context.violation("trust ended with \(status): \(said)")
            }
            try await context.acknowledges(context.primary, since: asked)
            try await context.replica.start()
            let (again, why) = try await eventuallyRefused(backend, name)
            if again == 0 { context.violation("trust was not refused although both answer: \(why)") }
        },
    ]

    /// What `trust` says once both servers answer.
    private static func eventuallyRefused(_ backend: Backend, _ name: String) async throws -> (Int32, String) {
        var said = (status: Int32(0), output: "")
        try await eventually("trust is refused", within: .seconds(40)) {
            said = try await backend.command(["trust", name])
            return said.status != 0
        }
        return (said.status, said.output)
    }
}
