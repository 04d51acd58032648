/// The file that is written beside a copy. It must never hurt the copy: a disk that fails ends the file, and so does
/// one that takes nothing for too long; either is said afterwards, and nothing is left that could be taken for a dump.
final class SideFile: Sendable {
    enum Outcome: Sendable {
        case written(String)
        case failed(DumpError)
    }

    private let path: String
    private let patience: Duration
    private let channel: ItemChannel
    private let given = Monitor<DumpError?>(nil)
    private let task: Task<Result<DumpReport, DumpError>, Never>
    private let ended = Monitor(false)

    /// - Parameter limit: bytes that may wait for the disk.
    init(
        path: String, patience: Duration, limit: Int = 32 << 20,
        writer: (any DumpFileEnd)? = nil
    ) {
        self.path = path
        self.patience = patience
        let channel = ItemChannel(limit: limit)
        self.channel = channel
        let writer = writer ?? DumpFileWriter(path: path)
        let ended = ended
        task = Task {
            defer { ended.change { $0 = true } }
            do throws(DumpError) {
                try await writer.open()
                while let items = try await channel.receive() {
                    for item in items { try await writer.send(item) }
                }
                return .success(try await writer.finish())
            } catch {
                channel.abandon(error)
                await writer.discard()
                return .failure(error)
            }
        }
    }

    /// Hands an item on; waits while the disk is behind, but not for ever.
    func send(_ item: StreamItem) async {
        guard given.read({ $0 == nil }) else { return }
        let (channel, patience) = (channel, patience)
        let failure = await withTaskGroup(of: DumpError?.self) { group in
            if channel.offer(item) { return nil as DumpError? }
            group.addTask {
                do throws(DumpError) {
                    try await channel.send(item)
                    return nil
                } catch {
                    return error
                }
            }
            group.addTask { [path] in
                // Patient for as long as the disk takes anything at all.
                var taken = channel.taken
                while true {
                    do { try await Task.sleep(for: patience) } catch { return nil }
                    if channel.taken == taken { break }
                    taken = channel.taken
                }
                let error = DumpError(
                    .file(path: path, errno: nil),
                    "\(path): the disk took nothing for \(patience); the file was given up")
                channel.abandon(error)
                return error
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        if let failure { given.change { $0 = $0 ?? failure } }
    }

    /// Ends the file after its last item.
    func finish() async -> Outcome {
        if let failure = given.read({ $0 }) { return .failed(failure) }
        channel.finish(.success(()))
        switch await task.value {
        case .success: return .written(path)
        case .failure(let error): return .failed(error)
        }
    }

    /// Gives the file up, and waits a moment for it to be taken away; not for a disk that never answers.
    func abandon(_ error: DumpError) async {
        given.change { $0 = $0 ?? error }
        channel.abandon(error)
        for _ in 0..<250 where !ended.read({ $0 }) {
            // A cancelled caller looks on without pause.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

/// What a side file writes to; for tests, something slower than any disk.
protocol DumpFileEnd: ItemSink {
    func open() async throws(DumpError)
    func finish() async throws(DumpError) -> DumpReport
    func discard() async
}

extension DumpFileWriter: DumpFileEnd {}

/// One stream, two ends.
struct TeeSink: ItemSink {
    let target: ItemChannel
    let file: SideFile

    func send(_ item: StreamItem) async throws(DumpError) {
        try await target.send(item)
        await file.send(item)
    }
}
