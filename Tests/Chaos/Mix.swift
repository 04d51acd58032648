import Foundation
import SeededRandom
import TestBed

/// Faults at random, or some chosen ones in turn, for a given time.
struct Mix {
    let arguments: Arguments

    init(_ arguments: Arguments) { self.arguments = arguments }

    /// - Returns: whether nothing was violated.
    func run() async throws -> Bool {
        var options = HostCluster.Options()
        options.ownNetworks = arguments.ownNetworks
        options.semiSync = !arguments.async
        let chosen = try arguments.scenarios.map { try Fault.named($0) }
        options.backends = chosen.map(\.hosts).max() ?? options.backends
        for fault in chosen {
            if let obstacle = fault.obstacle(
                ownNetworks: options.ownNetworks, semiSync: options.semiSync, hosts: options.backends)
            {
                throw TestBedError("\(fault) needs \(obstacle)")
            }
        }
        say(
            "seed \(arguments.seed), \(options.backends) hosts \(options.ownNetworks ? "in namespaces" : "on loopback"), "
                + (options.semiSync ? "" : "asynchronous, ")

                + "\(arguments.rate) rows/s, agent: \(try Backend.program().joined(separator: " "))")
        return try await withHostCluster(options) { cluster in
            do {
                return try await run(chosen, on: cluster)
            } catch {
                say("\nFAILED: \(error)\nlogs: \(keepLogs(cluster, name: "\(arguments.seed)"))")
                return false
            }
        }
    }

    private func run(_ chosen: [Fault], on cluster: HostCluster) async throws -> Bool {
        let began = ContinuousClock.now
        func time() -> String { seconds(began.duration(to: .now)) }
        try cluster.startAgents()
        let trial = try await Trial(cluster, perSecond: arguments.rate)
        say("\(pad(time(), 8)) the agents have opened a primary, the writers are at work")
        let possible = (chosen.isEmpty ? Fault.all : chosen).filter {
            $0.obstacle(
                ownNetworks: cluster.network != nil, semiSync: cluster.options.semiSync,
                hosts: cluster.options.backends) == nil
        }
        let drawn = possible.flatMap { Array(repeating: $0, count: $0.weight) }
        var random = SeededGenerator(seed: arguments.seed)
        var rounds: [Trial.Round] = []
        let end = began + .seconds(arguments.minutes * 60)
        var verdict = Verdict()
        var failure: String?
        while failure == nil, .now < end, rounds.count < arguments.rounds {
            let fault =
                chosen.isEmpty
                ? drawn[Int.random(in: drawn.indices, using: &random)] : chosen[rounds.count % chosen.count]
            let seed = random.next()
            say("\(pad(time(), 8)) \(pad(fault.scenario, 6)) \(fault.name)")
            do {
                let round = try await trial.round(fault, seed: seed)
                rounds.append(round)
                verdict = round.verdict
                say(line(round, at: time()))
                if !round.verdict.violations.isEmpty {
                    failure = round.verdict.violations.joined(separator: "\n")
                }
            } catch {
                failure = "\(error)"
            }
        }
        if failure == nil {
            verdict = try await trial.finish()
            if !verdict.violations.isEmpty { failure = verdict.violations.joined(separator: "\n") }
        }
        say("\n\(table(rounds))\n")
        say(
            "\(rounds.count) faults, \(rounds.count { $0.wasFailover }) failovers and switchovers, seed \(arguments.seed)"
        )
        say("rows: \(verdict.summary)")
        say(
            "observer: \(trial.observer.samples) samples, both servers open for \(seconds(trial.observer.bothOpen)) s, "
                + "\(trial.observer.errant.count) errant transactions on a replica")
        guard let failure else {
            say("nothing was violated in \(time()) s")
            return true
        }
        await trial.writers.stop()
        await trial.observer.stop()
        say("\nVIOLATED: \(failure)")
        let logs = keepLogs(cluster, name: "\(arguments.seed)")
        try? trial.timeline().write(toFile: logs + "/writes", atomically: true, encoding: .utf8)
        say("logs: \(logs)")
        return false
    }

    private func line(_ round: Trial.Round, at time: String) -> String {
        let change = round.wasFailover ? "\(round.before) -> \(round.after)" : "\(round.after) stays"
        return "\(pad(time, 8)) \(pad("", 6)) \(change), first write on the other after "
            + "\(seconds(round.outage.toFirstOnOther)) s, longest pause \(seconds(round.outage.longestPause)) s, "
            + "whole after \(seconds(round.whole)) s\(round.notes.isEmpty ? "" : "; " + round.notes.joined(separator: ", "))"
    }
}
