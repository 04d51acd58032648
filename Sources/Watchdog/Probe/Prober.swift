import MySQLWire
import Synchronization

/// Probes servers, all of them at once: opens a connection, asks one question, measures. Its results can be read at
/// any time, also after it was cancelled.
package final class Prober: Sendable {
    /// One probe that has just ended.
    package struct Event: Sendable {
        package var address: ServerAddress
        /// 1 for the host's first.
        package var number: Int
        package var outcome: ProbeOutcome
    }

    /// Answered by the server's own SQL layer, without storage.
    private static let question = "SELECT 1"
    /// From this many hosts on, memory counts for more than the third digit.
    private static let manyHosts = 64

    private let plan: ProbePlan
    private let hosts: [Host]
    /// Every probe as it ends, for one reader; the oldest are dropped where it does not keep up. Ends with `run`.
    package let events: AsyncStream<Event>
    private let say: AsyncStream<Event>.Continuation

    /// - Parameter servers: how each is reached; an address may come twice and is then two hosts.
    package init(_ servers: [ConnectionOptions], plan: ProbePlan) {
        self.plan = plan
        hosts = servers.map { Host($0, plan: plan, precision: servers.count < Self.manyHosts ? .fine : .coarse) }
        (events, say) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(4096))
    }

    /// In the order of the servers.
    package var statistics: [ProbeStatistics] { hosts.map(\.statistics) }

    /// Returns when all probes have ended, or at once when the task is cancelled. A probe that was under way then
    /// counts for nothing.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            for host in hosts {
                for _ in 0..<min(max(plan.concurrency, 1), plan.count ?? .max) {
                    group.addTask { await self.work(host) }
                }
            }
        }
        say.finish()
    }

    private func work(_ host: Host) async {
        var warm: MySQLConnection?
        while let start = host.claim() {
            do {
                if start > .now { try await Task.sleep(until: start, clock: .continuous) }
                try Task.checkCancellation()
            } catch {
                break
            }
            let outcome = await probe(host.options, &warm)
            if case .failed(let error) = outcome, error.code == .cancelled { break }
            say.yield(Event(address: host.options.address, number: host.add(outcome), outcome: outcome))
        }
        await warm?.close()
    }

    private func probe(_ options: ConnectionOptions, _ warm: inout MySQLConnection?) async -> ProbeOutcome {
        let began = ContinuousClock.now
        let deadline = Deadline(began.advanced(by: plan.timeout))
        do throws(MySQLError) {
            let connection: MySQLConnection
            let isFresh: Bool
            if let kept = warm {
                (connection, isFresh) = (kept, false)
                // Whatever fails from here on: it is not asked again.
                warm = nil
            } else {
                connection = try await MySQLConnection.connect(options, deadline: deadline)
                isFresh = true
            }
            var answered = false
            defer { if !answered { connection.abort() } }
            let asked = ContinuousClock.now
            _ = try await connection.query(Self.question, purpose: "probe", deadline: deadline)
            let end = ContinuousClock.now
            answered = true
            let facts = connection.handshake
            var times = ProbeTimes(
                query: asked.duration(to: end), total: (plan.reuse ? asked : began).duration(to: end))
            if isFresh {
                times.connect = facts.connected
                times.tls = facts.encrypted.map { $0 - facts.connected }
                times.authentication = facts.authenticated - (facts.encrypted ?? facts.connected)
            }
            let peer = ProbePeer(
                version: "\(connection.serverVersion)", tls: facts.tlsVersion,
                authentication: facts.authentication.rawValue)
            if plan.reuse { warm = connection } else { await connection.close() }
            return .answered(times, peer)
        } catch {
            return .failed(error)
        }
    }

    private final class Host: Sendable {
        private struct State {
            var remaining: Int?
            var next = ContinuousClock.now
            var statistics: ProbeStatistics
        }

        let options: ConnectionOptions
        private let interval: Duration
        private let state: Mutex<State>

        init(_ options: ConnectionOptions, plan: ProbePlan, precision: Latencies.Precision) {
            self.options = options
            interval = plan.interval
            state = Mutex(
                State(
                    remaining: plan.count,
                    statistics: ProbeStatistics(options.address, longest: plan.timeout, precision: precision)))
        }

        var statistics: ProbeStatistics { state.withLock { $0.statistics } }

        /// When the next probe is to start; nil after the last.
        func claim() -> ContinuousClock.Instant? {
            state.withLock { state in
                if let remaining = state.remaining {
                    guard remaining > 0 else { return nil }
                    state.remaining = remaining - 1
                }
                let start = max(state.next, .now)
                state.next = start.advanced(by: interval)
                return start
            }
        }

        /// - Returns: which of the host's probes it was.
        func add(_ outcome: ProbeOutcome) -> Int {
            state.withLock { state in
                state.statistics.add(outcome)
                return state.statistics.sent
            }
        }
    }
}
