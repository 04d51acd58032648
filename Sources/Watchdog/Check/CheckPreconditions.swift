import MySQLWire

/// What a failover rests on (`Precondition`), where it is known which server is the primary: pure.
struct CheckPreconditions {
    let configuration: Configuration
    let servers: PerServer<ServerSettings>

    func findings() -> [Finding] {
        guard let primary, let source = servers[primary], let replica = servers[primary.other] else { return [] }
        let areSet = [primary, primary.other].allSatisfy { id in
            servers[id].map { CheckServer(configuration: configuration, id: id, settings: $0).semiSync().isEmpty }
                ?? false
        }
        let unmet = UnmetPrecondition.all(
            primary: primary, source.facts, replica: replica.facts,
            // Where a setting is wrong, that one has been named.
            lossAllowed: !areSet)
        guard unmet.isEmpty else {
            return unmet.map {
                Finding(
                    $0.precondition.isCritical ? .critical : .warning,
                    "server \($0.server) (\(configuration.servers[$0.server]))",
                    "\($0.text) [\($0.precondition.rawValue)]", remedy: $0.precondition.remedy)
            }
        }
        guard configuration.mode == .quorum, areSet else { return [] }
        return [Finding(.ok, "both servers", "no failover loses an acknowledged commit")]
    }

    /// The one that replicates from nobody, and the other one from it.
    private var primary: ServerID? {
        ServerID.allCases.first { id in
            guard let source = servers[id]?.facts, let replica = servers[id.other]?.facts else { return false }
            return source.channels.isEmpty && replica.channels.contains { $0.sourceUUID == source.uuid }
        }
    }
}
