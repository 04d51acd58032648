/// The bounded pipe between the reader of one server and the writer of another. The reader waits when the writer is
/// behind by more than `limit` bytes; whichever end fails, the other one learns of it at its next call.
final class ItemChannel: ItemSink, Sendable {
    private struct State: Sendable {
        var items: [StreamItem] = []
        var bytes = 0
        /// Items that were received.
        var taken: UInt64 = 0
        var finished: Result<Void, DumpError>?
        /// The receiving end is gone, or one of the tasks was cancelled.
        var abandoned: DumpError?
    }

    private let state = Monitor(State())
    private let limit: Int

    /// - Parameter limit: bytes of statements that may wait; one item above it is always let through.
    init(limit: Int = 16 << 20) { self.limit = limit }

    func send(_ item: StreamItem) async throws(DumpError) {
        let limit = limit
        while true {
            let outcome: Result<Bool, DumpError> = state.change { state in
                if let error = state.abandoned { return .failure(error) }
                if !state.items.isEmpty, state.bytes + item.byteCount > limit { return .success(false) }
                state.items.append(item)
                state.bytes += item.byteCount
                return .success(true)
            }
            if try outcome.get() { return }
            await wait { $0.items.isEmpty || $0.bytes + item.byteCount <= limit || $0.abandoned != nil }
        }
    }

    /// Sends an item if there is room for it now.
    func offer(_ item: StreamItem) -> Bool {
        let limit = limit
        return state.change { state in
            guard state.abandoned == nil, state.items.isEmpty || state.bytes + item.byteCount <= limit else {
                return false
            }
            state.items.append(item)
            state.bytes += item.byteCount
            return true
        }
    }

    /// How many items the receiver has taken.
    var taken: UInt64 { state.read { $0.taken } }

    /// Nothing more will be sent; an error reaches the receiver behind what was sent before.
    func finish(_ result: Result<Void, DumpError>) {
        state.change { $0.finished = $0.finished ?? result }
    }

    /// The receiver has gone: whoever sends gets this error.
    func abandon(_ error: DumpError) {
        state.change { $0.abandoned = $0.abandoned ?? error }
    }

    /// The next items, all that wait; nil after the last.
    func receive() async throws(DumpError) -> [StreamItem]? {
        while true {
            let outcome: Result<[StreamItem]?, DumpError>? = state.change { state in
                if let error = state.abandoned { return .failure(error) }
                if !state.items.isEmpty {
                    defer {
                        state.taken += UInt64(state.items.count)
                        state.items = []
                        state.bytes = 0
                    }
                    return .success(state.items)
                }
                return state.finished.map { result in result.map { nil } }
            }
            if let outcome { return try outcome.get() }
            await wait { !$0.items.isEmpty || $0.finished != nil || $0.abandoned != nil }
        }
    }

    private func wait(until ready: @escaping @Sendable (State) -> Bool) async {
        await state.wait(until: ready) { abandon(DumpError(.cancelled, "cancelled")) }
    }
}
