import Foundation
import Glibc
import TestBed

let usage = """
    chaos: faults done to a real cluster under load, one after the other, each judged.

      chaos --minutes M [--seed N] [--scenario S16[,S19...]] [--rounds N] [--loopback] [--async] [--rate N]
      chaos --figures [NAME[:N],...] [--runs N] [--loopback]
      chaos --list

    Each host has a network namespace of its own where that is allowed (root and iproute2), otherwise, and with
    --loopback, everything runs on loopback and the scenarios of the network are left out. With --scenario only these
    come, in turn. The exit status is 0 only if nothing was violated; otherwise logs are kept and their folder is named.
    With --async replication is asynchronous and max_lost_transactions is set: a row that a dead primary had not sent
    must be in a dump then, and scenarios that need commits to wait for the replica are left out.
    REPL_WATCHDOG_STATIC names the agent's program, otherwise it is the one built beside this.
    """

/// What the command line asked for.
struct Arguments {
    var minutes = 10.0
    var seed = UInt64.random(in: 1...999_999)
    var scenarios: [String] = []
    var rounds = Int.max
    var runs = 20
    var rate = 100
    var loopback = false
    var async = false
    var figures: String?
    var list = false

    init(_ words: [String]) throws {
        var words = words[...]
        func value(_ option: String) throws -> String {
            guard let value = words.popFirst() else { throw TestBedError("\(option) wants a value") }
            return value
        }
        func number<N: LosslessStringConvertible>(_ option: String) throws -> N {
            let text = try value(option)
            guard let number = N(text) else { throw TestBedError("\(option) wants a number, not \(text)") }
            return number
        }
        while let word = words.popFirst() {
            switch word {
            case "--minutes": minutes = try number(word)
            case "--seed": seed = try number(word)
            case "--scenario": scenarios += try value(word).split(separator: ",").map(String.init)
            case "--rounds": rounds = try number(word)
            case "--runs": runs = try number(word)
            case "--rate": rate = try number(word)
            case "--loopback": loopback = true
            case "--async": async = true
            case "--list": list = true
            case "--figures":
                figures = "all"
                if let next = words.first, !next.hasPrefix("-") { figures = words.removeFirst() }
            default: throw TestBedError("\(word) is not understood\n\n\(usage)")
            }
        }
    }

    var ownNetworks: Bool { !loopback && HostNetwork.isPossible }
}

@main struct Main {
    static func main() async {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            if arguments.list {
                for fault in Fault.all { say("\(pad(fault.scenario, 6)) \(fault.name)") }
            } else if let figures = arguments.figures {
                try await Figures(arguments).run(figures)
            } else {
                guard try await Mix(arguments).run() else { exit(1) }
            }
        } catch {
            say("chaos: \(error)")
            exit(1)
        }
    }
}
