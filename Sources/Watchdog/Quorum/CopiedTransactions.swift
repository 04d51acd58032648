/// The transactions that a primary itself made and its replica was seen to hold. A primary whose disk has lost some of
/// them makes others by the same GTIDs once it is opened, and no GTID set tells the two apart any more. So it counts
/// even while the replica cannot be asked.
///
/// It is kept in memory only: what an agent forgets with its process, the others still know.
package struct CopiedTransactions: Sendable {
    private var primary = ""
    package private(set) var set = GTIDSet()

    /// Takes in what a look shows of the replica of this primary (a server_uuid).
    mutating func note(_ seen: Observation, primary: String, uuids: PerServer<String>) {
        if self.primary != primary { self = CopiedTransactions(primary: primary) }
        guard !primary.isEmpty, let id = ServerID.allCases.first(where: { uuids[$0] == primary })?.other,
            let replica = seen.facts(id), replica.uuid == uuids[id], replica.rebuilding == nil
        else { return }
        for held in [replica.executed] + replica.channels.map(\.retrieved) {
            let own = held.from(uuid: primary)
            if !own.isSubset(of: set) { set = set.union(own) }
        }
    }
}
