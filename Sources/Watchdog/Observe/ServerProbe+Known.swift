import MySQLWire

extension ServerProbe {
    /// What an agent knows already, and asks besides.
    struct About: Sendable {
        /// The agents' tables were there at the last look: they are read along with the rest.
        var recorded = false
        /// The server_uuid that is known to belong at this address, empty where none is yet: another one is asked for
        /// its databases. Nil: no matter.
        var member: String?
        /// The server_uuids of the two servers, as far as they are known.
        var members: Set<String> = []
        /// By which lists agents go that are connected; asked now and then.
        var lists = false
        /// Other lists that are known: what their members say is counted.
        var foreign: [AgentList] = []
        /// The name of the agent that asks, while it has no lock session there: somebody else may hold it.
        var name: String?
    }

    /// What an earlier look has found and a plain one cannot ask: information_schema, the lists of variables and the
    /// persisted ones hang as logins do while an account statement waits for its acknowledgement.
    struct Known: Sendable {
        var semiSync = false
        var bootsClosed = true
        var recorded = false
        var filtered = ""

        init(_ facts: ServerFacts) {
            filtered = facts.quorum?.filtered ?? ""
            semiSync = facts.quorum?.semiSync.installed == true
            bootsClosed = facts.quorum?.bootsClosed == true
            recorded = facts.quorum?.recorded == true
        }

        /// As performance_schema.global_variables would list them.
        var variables: String {
            guard semiSync else { return "NULL" }
            let switches = ["enabled", "wait_no_replica"].map {
                "'rpl_semi_sync_source_\($0)=', IF(@@global.rpl_semi_sync_source_\($0), 'ON', 'OFF')"
            }
            let values = ["wait_point", "timeout", "wait_for_replica_count"].map {
                "'rpl_semi_sync_source_\($0)=', @@global.rpl_semi_sync_source_\($0)"
            }
            return "CONCAT(\((switches + values).joined(separator: ", ',', ")))"
        }

        /// All that there may be: reading one that is not there says so.
        var tables: String {
            let tables =
                ["ongoing_failover.status", "ongoing_rebuild.marker"]
                + (recorded ? LedgerSchema.standingTables.subtracting(["ongoing_failover.status"]).sorted() : [])
            return SQLText.literal(tables.joined(separator: ","))
        }
    }
}
