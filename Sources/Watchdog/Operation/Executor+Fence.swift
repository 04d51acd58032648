import Logging
import MySQLWire

extension Executor {
    /// Bounded: a lock that somebody holds makes it fail instead of wait, and a late effect is impossible because the
    /// session ends with the failure. A client that holds LOCK TABLES would keep it away for ever, so that client's
    /// session is ended.
    func close(_ session: ServerSession) async throws(MySQLError) {
        let what = "stop writes on \(name(session.server))"
        var ended = 0
        do throws(MySQLError) {
            // Every new write waits behind this statement, and clients' sessions are ended after it anyway.
            try await session.run("SET SESSION lock_wait_timeout = 2", what)
            try await session.run("SET GLOBAL super_read_only = ON", what)
            try await session.run("SET SESSION lock_wait_timeout = 5", what)
        } catch {
            guard error.number == 1205 else { throw error }
            try await session.run("SET SESSION lock_wait_timeout = 5", what)
            ended = try await session.endClients(except: spared)
            if configuration.mode == .quorum {
                try await closeOverHungCommits(session, what)
            } else {
                try await session.run("SET GLOBAL super_read_only = ON", what)
            }
        }
        ended += try await session.endClients(except: spared)
        logger.log(.fenced, ["server": "\(name(session.server))", "sessions_ended": "\(ended)"])
    }

    /// Accounts whose sessions are never ended: the agents' own and replication's.
    var spared: [String] { [configuration.credentials.user, configuration.replication.user] }

    /// Points the local router to a server and sees through its own port that it leads there.
    func route(to id: ServerID, uuid: String) async throws(AgentError) {
        do {
            let report = try await router.turn(
                to: configuration.servers[id], other: configuration.servers[id.other], expectedUUID: uuid,
                deadline: .after(.seconds(30)))
            logger.log(
                .routerTurned,
                [
                    "server": "\(name(id))", "file_changed": "\(report.changedFile)",
                    "restarted": "\(report.restarted)",
                ])
        } catch {
            throw AgentError(.router(error), "point the router to \(name(id))")
        }
    }
}
