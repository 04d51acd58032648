import Foundation
import MySQLWire

/// Disks that are full for a while.
extension Fault {
    static let disks: [Fault] = [
        Fault("S11", "the disk of the primary is full for a while", .stays, mounts: true) { context in
            // The replica is moved to a small disk and made the primary, and moved back in the end.
            let (server, other) = (context.replica, context.primary)
            let disk = try await context.moved(server)
            do {
                try await context.command(context.anyBackend(), ["switchover"])
                try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
                context.begin()
                try disk.fill()
                try await eventually("nobody can write", within: .seconds(20)) {
                    context.trial.writers.log.acknowledged(since: .now - .seconds(3)).isEmpty
                }
                let host = context.anyBackend()
                let status = try await context.explained(["hang for"], on: host)
                if status != 2 { context.violation("explain ended with \(status), not with 2") }
                try await eventually("every agent says that writes hang", within: .seconds(15)) {
                    context.cluster.backends.allSatisfy { backend in
                        backend.agentLog.split(separator: "\n").last { $0.contains("writes ") }?
                            .contains("writes hang") == true
                    }
                }
                await context.nothingPromoted(for: .seconds(8), on: other)
                try disk.free()
                let freed = ContinuousClock.now
                // A server looks once a minute whether there is room.
                try await context.acknowledges(server, since: freed, within: .seconds(80))
                context.note("writes again \(Int(freed.duration(to: .now) / .seconds(1))) s after there was room")
                try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
                try await context.command(context.anyBackend(), ["switchover"])
                try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
            } catch {
                try? disk.free()
                throw error
            }
            await server.stop()
            try disk.remove()
            try await server.start()
        },
        Fault(
            "S55", "the disk of an agent's own files is full while the primary dies", .failover, mounts: true,
            replication: .semiSynchronous
        ) {
            context in
            let backend = context.anyBackend()
            let disk = try await context.asleep(backend) {
                try SmallDisk(over: backend.workingDirectory, in: backend.folder)
            }
            func promises() -> Int { backend.agentLog.components(separatedBy: "FOLO \(backend.name)").count }
            let before = promises()
            try disk.fill()
            context.note("\(backend.name) can keep nothing")
            do {
                context.begin()
                await context.primary.kill()
                try await context.failedOver()
                if promises() > before { context.violation("\(backend.name) has promised what it cannot keep") }
                await context.wait(context.between(.zero, .seconds(5)))
                try disk.free()
            } catch {
                try? disk.free()
                throw error
            }
            try await context.primary.start()
            try await context.cluster.settled(context.trial.writers, hold: .milliseconds(500))
            try await context.asleep(backend) { try disk.remove() }
        },
    ]
}

extension Fault.Context {
    /// Stops a server that is a replica, lays a small disk over its data, and starts it.
    fileprivate func moved(_ server: MySQLServer) async throws -> SmallDisk {
        await server.stop()
        let disk = try SmallDisk(over: server.folder.path + "/data", in: server.folder)
        try await server.start()
        try await cluster.settled(trial.writers, hold: .milliseconds(500))
        return disk
    }

    /// Does something while the agent of a host is frozen and writes nothing; where that fails because it was in the
    /// middle of writing, once more.
    fileprivate func asleep<Value>(_ backend: Backend, _ body: () throws -> Value) async throws -> Value {
        var last: (any Error)?
        for _ in 0..<5 {
            backend.freezeAgent()
            defer { backend.thawAgent() }
            do { return try body() } catch { last = error }
            backend.thawAgent()
            await wait(.milliseconds(200))
        }
        throw last ?? TestBedError("\(backend.name) is never idle")
    }
}
