import Foundation
import Synchronization

/// Runs `body` on a thread of its own, so that other tests, which fill the cooperative pool with their work, do not
/// add to the times measured in it.
/// - Parameter prepare: run first on the thread.
func onOwnThread<Value: Sendable>(
    prepare: @escaping @Sendable () -> Void = {}, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let thread = OwnThread(prepare)
    defer { thread.stop() }
    return try await Task(executorPreference: thread) { try await body() }.value
}

private final class OwnThread: TaskExecutor, @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: [UnownedJob] = []
    private var stopped = false

    init(_ prepare: @escaping @Sendable () -> Void) {
        Thread { [self] in
            prepare()
            run()
        }.start()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
    }

    func stop() {
        condition.lock()
        stopped = true
        condition.signal()
        condition.unlock()
    }

    private func run() {
        while true {
            condition.lock()
            while jobs.isEmpty, !stopped { condition.wait() }
            guard !jobs.isEmpty else {
                condition.unlock()
                return
            }
            let job = jobs.removeFirst()
            condition.unlock()
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
