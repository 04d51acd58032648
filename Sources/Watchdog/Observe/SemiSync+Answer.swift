extension SemiSync {
    static func pairs(_ text: String?) -> [String: String] {
        var out: [String: String] = [:]
        for part in (text ?? "").split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
            if let name = sides.first, sides.count == 2 { out[name.lowercased()] = sides.last }
        }
        return out
    }

    /// The question who acknowledges: the server_uuid, or `-`, of each connection that a replica has opened for the binary
    /// log after it had announced that it acknowledges. Replicas announce both in variables of that very session (MySQL's
    /// rpl_replica.cc and the semi-synchronous plugin's semisync_replica.cc; plugins before 8.0.26 say `slave`).
    /// SHOW REPLICAS would not do: it does not say who acknowledges, keeps one row for each server_id, and for a client
    /// without a uuid some versions send a row of one column less (MySQL's bug 99857). One thread's variables are looked
    /// up by its id: reading those of all threads costs the square of their number.
    static let acknowledgers = """
        (SELECT GROUP_CONCAT(IFNULL(
                (SELECT CONVERT(SUBSTRING(MIN(u.variable_value), 1, 36) USING latin1)
                    FROM performance_schema.user_variables_by_thread u
                    WHERE u.thread_id = dump.thread_id AND u.variable_name IN ('replica_uuid', 'slave_uuid')), '-'))
            FROM performance_schema.threads dump WHERE dump.processlist_command LIKE 'Binlog Dump%'
                AND (SELECT COUNT(*) FROM performance_schema.user_variables_by_thread s
                    WHERE s.thread_id = dump.thread_id AND s.variable_value <> '0'
                        AND s.variable_name IN ('rpl_semi_sync_replica', 'rpl_semi_sync_slave')) > 0)
        """

    /// Reads `name=value,name=value` of the server's variables and status, and `uuid,uuid` of those who acknowledge.
    init(variables: String?, status: String?, acknowledgers: String? = nil) {
        self.init()
        let set = Self.pairs(variables)
        let now = Self.pairs(status)
        guard let enabled = set["rpl_semi_sync_source_enabled"] else { return }
        installed = true
        self.enabled = enabled == "ON"
        active = now["rpl_semi_sync_source_status"] == "ON"
        waiting = Int(now["rpl_semi_sync_source_wait_sessions"] ?? "") ?? 0
        clients = Int(now["rpl_semi_sync_source_clients"] ?? "") ?? 0
        self.acknowledgers = (acknowledgers ?? "").lowercased().split(separator: ",").map(String.init)
        wanted = Int(set["rpl_semi_sync_source_wait_for_replica_count"] ?? "") ?? 0
        withoutFallback =
            set["rpl_semi_sync_source_wait_point"] == "AFTER_SYNC"
            && set["rpl_semi_sync_source_wait_no_replica"] == "ON"
            && (Int(set["rpl_semi_sync_source_timeout"] ?? "") ?? 0) >= Self.longTimeout
            && wanted >= 1
    }
}
