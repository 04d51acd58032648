/// What `repl_watchdog.history` of one server says of promotions. Whoever may write to a server may write there, and a dump
/// of another cluster that is imported brings its rows along: a row is believed where it can be one of this cluster's.
package struct PromotionRecord: Sendable, Hashable {
    /// The row of the highest epoch.
    package var newest: Promotion?
    /// The same, of those that name this server, its source, or a server that the reader knows to be one of the two.
    package var newestKnown: Promotion?
    /// Another server's; nothing is known that says whether it is the other one of the two.
    package enum Foreign: Sendable, Hashable {
        case none, ignored(String), unclear(String)
    }

    /// Epochs above it are nobody's: they leave no room for a next one.
    package static let highestEpoch = UInt64(Int64.max)

    package init(newest: Promotion?, newestKnown: Promotion?) {
        self.newest = newest
        self.newestKnown = newestKnown
    }

    /// - Parameters:
    ///   - uuid: of the server that the row stands on.
    ///   - sources: server_uuids of those it replicates from: a row that names another server has come from it.
    ///   - members: the server_uuids that the reader knows of the two, as far as it knows them.
    package func believed(
        on uuid: String, sources: [String], members: Set<String>
    ) -> (promotion: Promotion?, foreign: Foreign) {
        guard let newest else { return (nil, .none) }
        if newest.primary == uuid || sources.contains(newest.primary) || members.contains(newest.primary) {
            return (newest, .none)
        }
        // Neither of the two: an older row is as good as if this one were not there. While one of the two is not known it
        // may be the one that is named, and an older row would make the wrong server primary.
        return members.union([uuid]).count == 2
            ? (newestKnown, .ignored(newest.primary)) : (nil, .unclear(newest.primary))
    }
}
