import Foundation
import Glibc
import Synchronization
import TestBed

let usage = "usage: Scripts/demo [--keep | --stop FOLDER]"

/// Both modes for real, one after the other: servers, routers, agents and writers of the test bed, on loopback.
@main struct Main {
    static func main() async {
        clearUpOnSignals()
        let words = CommandLine.arguments.dropFirst()
        guard words.isEmpty || words == ["--keep"] else {
            FileHandle.standardError.write(Data((usage + "\n").utf8))
            exit(64)
        }
        let timeline = Timeline()
        let held: Bool
        do {
            held = try await run(timeline, keep: !words.isEmpty)
        } catch {
            await waitIfInterrupted()
            timeline.say("demo", "FAILED: \(error)")
            held = false
        }
        await waitIfInterrupted()
        if !held { await GuardedFolder.clearAll() }
        exit(held ? 0 : 1)
    }

    /// - Returns: whether all of it held.
    private static func run(_ timeline: Timeline, keep: Bool) async throws -> Bool {
        let (kept, routerLedHolds) = try await withDemoCluster(.routerLed, timeline, keep: keep) { cluster, watcher in
            (cluster, try await RouterLedDemo(cluster: cluster, timeline: timeline, watcher: watcher).run())
        }
        let (alsoLeft, quorumHolds) = try await withDemoCluster(.quorum, timeline, keep: keep) { cluster, watcher in
            (cluster, try await QuorumDemo(cluster: cluster, timeline: timeline, watcher: watcher).run())
        }
        guard routerLedHolds, quorumHolds else {
            timeline.line("\nNot all of it held.")
            return false
        }
        timeline.line("\nAll of it held, in \(Int(timeline.elapsed / .seconds(1))) seconds.")
        if keep {
            try KeepFolder([kept, alsoLeft]).explain(timeline)
            GuardedFolder.keepAll()
        }
        return true
    }

    /// Runs `body` with servers, routers and a watcher; where it fails, the ends of the agents' logs are printed.
    private static func withDemoCluster<Value: Sendable>(
        _ mode: HostCluster.Options.Mode, _ timeline: Timeline, keep: Bool,
        _ body: (HostCluster, Watcher) async throws -> (Value, Bool)
    ) async throws -> (Value, Bool) {
        var options = HostCluster.Options(mode: mode)
        options.agentOptions = ["--log-format", "json"]
        options.staysUp = keep
        timeline.title(
            mode == .quorum
                ? "QUORUM MODE: two MySQL servers, b replicates from a semi-synchronously; the agents open the primary"
                : "ROUTER-LED MODE: two MySQL servers, b replicates from a by GTID; both open for writes")
        return try await withHostCluster(options) { cluster in
            let watcher = Watcher(cluster, timeline)
            let result: Result<(Value, Bool), any Error>
            do {
                let version = try await cluster.a.sql("SELECT VERSION()").first?.first ?? "?"
                timeline.say(
                    "demo", "a is \(cluster.a.hostAndPort), b is \(cluster.b.hostAndPort), MySQL \(version)")
                watcher.start()
                result = .success(try await body(cluster, watcher))
            } catch {
                result = .failure(error)
            }
            await watcher.stop()
            await waitIfInterrupted()
            if (try? result.get())?.1 != true {
                for backend in cluster.backends {
                    let end = backend.agentLog.split(separator: "\n").suffix(15).joined(separator: "\n")
                    timeline.line("\nthe end of the agent's log on \(backend.name):\n\(end)")
                }
            }
            return try result.get()
        }
    }
}

/// The signal that ends the demo; 0: none has come.
private let interrupted = Atomic<Int32>(0)

/// Whoever clears up on a signal ends the program.
private func waitIfInterrupted() async {
    while interrupted.load(ordering: .relaxed) != 0 { try? await Task.sleep(for: .seconds(1)) }
}

/// Ctrl-C and the like end the demo when nothing of it is left. (What no program can catch, its guard sees.)
private func clearUpOnSignals() {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number) { interrupted.store($0, ordering: .relaxed) } }
    Thread {
        while interrupted.load(ordering: .relaxed) == 0 { usleep(20_000) }
        Task {
            await GuardedFolder.clearAll()
            exit(128 + interrupted.load(ordering: .relaxed))
        }
    }.start()
}
