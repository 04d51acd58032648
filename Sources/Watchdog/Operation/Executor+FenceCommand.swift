import Logging
import MySQLWire

extension Executor {
    /// Runs the operator's command that makes sure that a server is off. Bounded by 10 s.
    func fenceCommand(_ id: ServerID) async -> Bool {
        let arguments = configuration.safety.fenceCommand + ["\(configuration.servers[id])"]
        do {
            try await RouterCommand.run(
                arguments, purpose: "make sure that \(name(id)) is off", deadline: .after(.seconds(10)))
            logger.log(.fenceCommandSucceeded, ["server": "\(name(id))"])
            return true
        } catch {
            logger.log(.fenceCommandFailed, ["server": "\(name(id))", "error": "\(error)"])
            return false
        }
    }
}
