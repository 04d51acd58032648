import Dispatch
import Glibc
import Synchronization

/// Compresses blocks of text side by side, one worker for each core, and writes the gzip members in the order in which
/// the blocks came. Holds at most `capacity` blocks; the first failure of the file is kept and ends everything.
final class MemberWriter: Sendable {
    /// Where a member stands in the file.
    struct Member: Sendable, Equatable {
        var offset: UInt64
        /// Bytes of the member.
        var length: Int
        /// Bytes of the text in it.
        var text: Int
    }

    private struct State {
        var waiting: [(number: Int, text: [UInt8])] = []
        var workers = 0
        var blocks = 0
        /// Members that are ready, by their number; those before `written` are in the file.
        var ready: [Int: (member: [UInt8], text: Int)] = [:]
        var written = 0
        var writing = false
        var failure: Int32?
        var members: [Member] = []
        var offset: UInt64 = 0
    }

    private let fd: Int32
    private let workers: Int
    private let state = Mutex(State())
    /// Apart from the state: nobody else waits while a member is added to it.
    private let hash = Mutex(SHA256Stream())
    private let queue = DispatchQueue(label: "dump compression", attributes: .concurrent)
    private let slots = DispatchSemaphore(value: 0)
    private let unwritten = DispatchGroup()

    /// - Parameter fd: stays the caller's to close, after `drain`.
    init(fd: Int32, workers: Int = MemberWriter.cores) {
        self.fd = fd
        self.workers = workers
        // Not as its initial value: a semaphore must not be freed below that.
        for _ in 0..<Self.capacity(workers) { slots.signal() }
    }

    static var cores: Int { min(8, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// Blocks that may wait, be compressed or wait for their turn to be written.
    private static func capacity(_ workers: Int) -> Int { 2 * workers + 2 }

    /// Takes a block. Blocks the thread while too many are unwritten.
    /// - Returns: the number of the member that it becomes, or the system's error if one before it failed.
    func add(_ text: [UInt8]) -> Result<Int, SystemError> {
        slots.wait()
        unwritten.enter()
        let (outcome, start) = state.withLock { state -> (Result<Int, SystemError>, Bool) in
            if let failure = state.failure { return (.failure(SystemError(number: failure)), false) }
            let number = state.blocks
            state.blocks += 1
            state.waiting.append((number, text))
            guard state.workers < workers else { return (.success(number), false) }
            state.workers += 1
            return (.success(number), true)
        }
        if case .failure = outcome { release() }
        if start { queue.async { self.work() } }
        return outcome
    }

    /// Blocks the thread until everything is written or has failed.
    /// - Returns: the members and the SHA-256 of the whole file.
    func drain() -> Result<(members: [Member], sha256: [UInt8]), SystemError> {
        unwritten.wait()
        return state.withLock { state in
            if let failure = state.failure { return .failure(SystemError(number: failure)) }
            return .success((state.members, hash.withLock { $0.digest() }))
        }
    }

    /// Writes nothing more.
    func cancel() {
        state.withLock { $0.failure = $0.failure ?? ECANCELED }
        unwritten.wait()
    }

    private func release() {
        slots.signal()
        unwritten.leave()
    }

    private func work() {
        let compressor = GzipCompressor()
        while true {
            let next = state.withLock { state -> (number: Int, text: [UInt8])? in
                if state.waiting.isEmpty {
                    state.workers -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            let failed = state.withLock { state in
                if compressor == nil { state.failure = state.failure ?? ENOMEM }
                return state.failure != nil
            }
            let member = failed ? [] : compressor?.member(next.text) ?? []
            state.withLock { $0.ready[next.number] = (member, next.text.count) }
            write()
        }
    }

    /// Writes what is next in order, unless another worker is at it: then that one goes on with it.
    private func write() {
        while true {
            let next = state.withLock { state -> (member: [UInt8], text: Int, failed: Bool)? in
                guard !state.writing, let next = state.ready.removeValue(forKey: state.written) else { return nil }
                state.writing = true
                return (next.member, next.text, state.failure != nil)
            }
            guard let next else { return }
            let failure = next.failed ? nil : FileSystem.all(next.member, to: fd)
            if !next.failed { hash.withLock { hash in next.member.withUnsafeBytes { hash.add($0) } } }
            state.withLock { state in
                state.writing = false
                state.written += 1
                if let failure { state.failure = state.failure ?? failure }
                guard state.failure == nil else { return }
                state.members.append(Member(offset: state.offset, length: next.member.count, text: next.text))
                state.offset += UInt64(next.member.count)
            }
            release()
        }
    }
}

/// An error number of the system.
struct SystemError: Error, Equatable {
    var number: Int32
}
