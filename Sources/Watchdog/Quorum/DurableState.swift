/// What an agent keeps on disk. Written and synced before anything is done that rests on it.
package struct DurableState: Sendable, Hashable {
    /// The newest promotion that this agent knows of. Epoch 0: none, the primary is known by who replicates from whom.
    package var epoch: UInt64 = 0
    /// server_uuid of the primary of that epoch; empty while unknown.
    package var primary = ""
    /// The uuids behind the two addresses.
    package var uuids = PerServer<String>()
    /// Set while this agent has promised an operation master to have turned away from the primary: the epoch of that
    /// operation, and the server whose ledger says how it ended.
    package var promise: Promise?
    /// What the primary was last seen to have executed. Written to disk now and then only.
    package var executed = GTIDSet()
    /// The highest epoch of an operation that this agent has seen; written to disk now and then only.
    package var operation: UInt64 = 0
    /// Semi-synchronous without fallback when the primary of `epoch` was last seen.
    package var sync = false

    /// Both servers have answered since this memory began, or an operator has said which one to go by: then nothing can
    /// have been decided, by this agent in a former life or by others, that it does not know of. An agent whose memory was
    /// lost gives no vote and no lease before.
    package var isInformed = false

    /// Another host's agent goes by this one's name (`NameWatch`): neither counts until that is over.
    package var isDouble = false

    /// `QuorumFacts.started` of the replica by whose acknowledgements `sync` holds; nil where that is not known.
    package var replicaStarted: Int64?

    /// The list of agents that this one goes by, and lists of others that it has seen and not seen to be gone.
    package var list = AgentList(digest: "", names: [])
    package var foreign: [AgentList] = []

    package struct Promise: Sendable, Hashable {
        package var epoch: UInt64
        package var on: ServerID

        package init(epoch: UInt64, on: ServerID) {
            self.epoch = epoch
            self.on = on
        }
    }

    package init() {}

    /// Whether the difference to `other` must be on disk before this agent acts on.
    package func differsInPromises(from other: DurableState) -> Bool {
        epoch != other.epoch || primary != other.primary || promise != other.promise || sync != other.sync
            || replicaStarted != other.replicaStarted
            || uuids != other.uuids || isInformed != other.isInformed
            || isDouble != other.isDouble || list != other.list || foreign != other.foreign
    }
}
