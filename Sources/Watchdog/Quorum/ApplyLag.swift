import MySQLWire

/// How far a replica is behind, by time and not by count: a single transaction may take minutes to apply. Seen from look to
/// look, by GTID, so that no clock of a server matters.
struct ApplyLag: Sendable {
    /// What the primary had executed at a look, and the replica had not.
    private var wanted: (set: GTIDSet, at: Int64)?

    /// - Parameters: what a look has found on both.
    mutating func note(primary: GTIDSet, replica: GTIDSet, at now: Int64) {
        // Where the primary lacks it, another one is the primary since, or it has lost that: there is nothing to wait for.
        if let wanted, wanted.set.isSubset(of: primary), !wanted.set.isSubset(of: replica) { return }
        wanted = primary.isSubset(of: replica) ? nil : (primary, now)
    }

    /// For how many milliseconds, at least, the replica has not applied what the primary had executed.
    func milliseconds(at now: Int64) -> Int64 { wanted.map { now - $0.at } ?? 0 }
}
