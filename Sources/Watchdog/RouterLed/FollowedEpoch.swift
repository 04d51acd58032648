/// What an agent of router-led mode keeps between its lives: the epoch of the last promotion that its router followed.
struct FollowedEpoch: Sendable {
    private let file: DurableStateFile
    private var state: DurableState

    var epoch: UInt64 { state.epoch }

    /// - Throws: if there is a file that cannot be read as a whole: with epoch 0 the router would be turned for a promotion
    ///   that it has long followed.
    init(_ configuration: Configuration) throws(AgentError) {
        file = DurableStateFile(configuration)
        state = try file.read()
    }

    /// Remembers a higher epoch; a lower one is ignored.
    mutating func note(epoch new: UInt64) throws(AgentError) {
        guard new > epoch else { return }
        var next = state
        next.epoch = new
        try file.write(next)
        state = next
    }
}
