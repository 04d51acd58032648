extension SemiSync {
    static func pairs(_ text: String?) -> [String: String] {
        var out: [String: String] = [:]
        for part in (text ?? "").split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
            if sides.count == 2 { out[sides[0].lowercased()] = sides[1] }
        }
        return out
    }

    /// Reads `name=value,name=value` of the server's variables and status.
    init(variables: String?, status: String?) {
        self.init()
        let set = Self.pairs(variables)
        let now = Self.pairs(status)
        acknowledges = now["rpl_semi_sync_replica_status"] == "ON"
        guard let enabled = set["rpl_semi_sync_source_enabled"] else { return }
        installed = true
        self.enabled = enabled == "ON"
        active = now["rpl_semi_sync_source_status"] == "ON"
        waiting = Int(now["rpl_semi_sync_source_wait_sessions"] ?? "") ?? 0
        clients = Int(now["rpl_semi_sync_source_clients"] ?? "") ?? 0
        withoutFallback =
            set["rpl_semi_sync_source_wait_point"] == "AFTER_SYNC"
            && set["rpl_semi_sync_source_wait_no_replica"] == "ON"
            && (Int(set["rpl_semi_sync_source_timeout"] ?? "") ?? 0) >= Self.longTimeout
            && (Int(set["rpl_semi_sync_source_wait_for_replica_count"] ?? "") ?? 0) >= 1
    }
}
