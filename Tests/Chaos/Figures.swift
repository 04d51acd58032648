import Foundation
import Glibc
import SeededRandom
import TestBed

/// What the project measures itself by: how long nobody can write after each kind of fault, and what watching costs.
struct Figures {
    let arguments: Arguments

    init(_ arguments: Arguments) { self.arguments = arguments }

    private static let faults = [
        ("kill", "S01"), ("freeze", "S06"), ("drop", "S16"), ("switchover", "S71"),
    ]

    /// - Parameter list: names with commas between, each with a number of its own if wanted, as in `kill:20,freeze:5`.
    func run(_ list: String) async throws {
        let known = ["idle"] + Self.faults.map(\.0)
        let wanted = try (list == "all" ? known : list.split(separator: ",").map(String.init)).map { word in
            let parts = word.split(separator: ":").map(String.init)
            guard let name = parts.first, known.contains(name), parts.count < 2 || Int(parts[1]) != nil else {
                throw TestBedError("no figures '\(word)'; there are \(known.joined(separator: ", "))")
            }
            return (name: name, runs: parts.count > 1 ? Int(parts[1]) ?? arguments.runs : arguments.runs)
        }
        var options = HostCluster.Options()
        options.ownNetworks = arguments.ownNetworks
        try await withHostCluster(options) { cluster in
            do {
                try cluster.startAgents()
                try await cluster.settled(within: .seconds(60))
                if wanted.contains(where: { $0.name == "idle" }) { try await idle(cluster) }
                guard wanted.contains(where: { $0.name != "idle" }) else { return }
                let trial = try await Trial(cluster, perSecond: arguments.rate)
                for (name, scenario) in Self.faults {
                    guard let runs = wanted.first(where: { $0.name == name })?.runs else { continue }
                    let fault = try Fault.named(scenario)
                    if fault.obstacle(ownNetworks: cluster.network != nil) != nil { continue }
                    try await measure(fault, runs, trial)
                }
                let verdict = try await trial.finish()
                say("rows: \(verdict.summary)")
                for violation in verdict.violations { throw TestBedError("VIOLATED: \(violation)") }
            } catch {
                say("logs: \(keepLogs(cluster, name: "figures"))")
                throw error
            }
        }
    }

    private func measure(_ fault: Fault, _ runs: Int, _ trial: Trial) async throws {
        var rounds: [Trial.Round] = []
        var random = SeededGenerator(seed: arguments.seed)
        for _ in 0..<runs {
            let round = try await trial.round(fault, seed: random.next())
            for violation in round.verdict.violations { throw TestBedError("VIOLATED: \(violation)") }
            rounds.append(round)
            say(
                "  \(fault.scenario) \(round.before) -> \(round.after): first write on the other after "
                    + "\(seconds(round.outage.toFirstOnOther)) s, gap \(seconds(round.outage.gap)) s, "
                    + "by host \(round.outage.byHost.map { seconds($0.toFirstOnOther) }.joined(separator: " ")) s, "
                    + "whole after \(seconds(round.whole)) s")
        }
        say(
            """
            \(fault), \(rounds.count) times, median / worst:
              fault to first acknowledged write on the new primary  \(spread(rounds.compactMap(\.outage.toFirstOnOther))) s
              the same for each host by itself                      \(spread(rounds.flatMap { $0.outage.byHost.map(\.toFirstOnOther) })) s
              last write on the old to first on the new one         \(spread(rounds.compactMap(\.outage.gap))) s
              until the other server is a replica again             \(spread(rounds.map(\.whole))) s
            """)
    }

    /// A healthy cluster that nobody uses, for half a minute.
    private func idle(_ cluster: HostCluster) async throws {
        try await Task.sleep(for: .seconds(5))
        func questions() async throws -> [Int] {
            var counts: [Int] = []
            for server in cluster.servers {
                let row = try await server.ask(
                    "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Questions'")
                counts.append(row.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0)
            }
            return counts
        }
        let before = (ContinuousClock.now, try await questions(), cluster.backends.map { cpu($0.agentPID) })
        try await Task.sleep(for: .seconds(30))
        let after = (ContinuousClock.now, try await questions(), cluster.backends.map { cpu($0.agentPID) })
        let time = before.0.duration(to: after.0) / .seconds(1)
        say("idle, \(Int(time)) s, agent: \(try Backend.program().joined(separator: " "))")
        for (index, server) in cluster.servers.enumerated() {
            let rate = Double(after.1[index] - before.1[index]) / time
            say(String(format: "  %@: %.1f statements per second by all agents", server.name, rate))
        }
        for (index, backend) in cluster.backends.enumerated() {
            let load = (after.2[index] - before.2[index]) / time * 100
            say(
                String(
                    format: "  %@: %.2f %% of a core, %.1f MB RSS", backend.name, load,
                    residentMegabytes(backend.agentPID)))
        }
    }

    /// Seconds of CPU time that a process has used.
    private func cpu(_ pid: pid_t?) -> Double {
        guard let pid, let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return 0 }
        // After the command's name in parentheses: utime and stime are fields 14 and 15 of the line.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func residentMegabytes(_ pid: pid_t?) -> Double {
        guard let pid, let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
        else { return 0 }
        return kilobytes / 1024
    }
}
