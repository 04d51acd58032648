import MySQLWire

extension Agent {
    /// Names what is prepared on an open primary and what nobody ends. It holds nothing back.
    func noteAbandoned(_ seen: Observation, in diagnosis: inout Diagnosis) async {
        guard let primary = diagnosis.primary, seen.facts(primary)?.readOnly == false else { return }
        let deadline = Deadline.after(configuration.agent.probeTimeout)
        do throws(MySQLError) {
            let connection = try await MySQLConnection.connect(
                configuration.connectionOptions(configuration.servers[primary]), deadline: deadline)
            defer { connection.abort() }
            guard let found = try await AbandonedTransactions.find(connection, deadline: deadline) else { return }
            diagnosis.note(found, on: primary)
        } catch {
            // Whether it answers at all is the look's business, and what the account lacks is told by `check`.
        }
    }
}
