import ArgumentParser
import Glibc
import MySQLWire
import UnixSignals
import Watchdog

struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Like ping for MySQL: how long connect, TLS, authentication and a query take.",
        discussion: """
            Hosts are probed in parallel, each probe with a connection of its own and one query. Ctrl-C ends it with \
            the summary of what was measured.

            Exit status: 0 every host answered at least once, 2 a host never did, 3 own fault.
            """)

    @OptionGroup var server: ServerOptions

    @Argument(help: ArgumentHelp("host:port, or the path of a socket.", valueName: "host:port"))
    var addresses: [ServerAddress]

    @Option(help: "Probes of each host; 0: until interrupted.")
    var count = 10

    @Option(help: "Least time between the starts of two probes of one host; 0s: none.")
    var interval = Pause(duration: .seconds(1))

    @Option(help: "The longest time for one probe.")
    var timeout: Duration = .seconds(2)

    @Option(help: "Probes of one host that may be under way at once.")
    var concurrency = 1

    @Flag(help: "Keep the connections: one is opened, and its queries are measured.")
    var reuse = false

    @Flag(help: "One JSON document at the end and nothing else.")
    var json = false

    @Flag(name: .shortAndLong, help: "The summary only, no line for each probe.")
    var quiet = false

    func validate() throws {
        guard !addresses.isEmpty else { throw ValidationError("name at least one host:port") }
        guard (0...1_000_000_000).contains(count) else { throw ValidationError("--count must be 0 to 1000000000") }
        guard (1...10_000).contains(concurrency), concurrency * addresses.count <= 10_000 else {
            throw ValidationError("--concurrency times the number of hosts must be 1 to 10000")
        }
        guard timeout <= .seconds(3600) else { throw ValidationError("--timeout must not be longer than 1h") }
        guard interval.duration <= .seconds(86400) else {
            throw ValidationError("--interval must not be longer than 24h")
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        // Read once: the password does not stay in the environment.
        let options = try server.options(addresses[0])
        Self.allowDescriptors(addresses.count * concurrency)
        let prober = Prober(
            addresses.map { address in
                var copy = options
                copy.address = address
                return copy
            },
            plan: ProbePlan(
                count: count == 0 ? nil : count, interval: interval.duration, timeout: timeout,
                concurrency: concurrency, reuse: reuse))
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let probing = Task { await prober.run() }
        let watching = Task {
            for await _ in signals { probing.cancel() }
        }
        defer {
            probing.cancel()
            watching.cancel()
        }
        for await event in prober.events where !json && !quiet {
            try Output.line(ProbeText.line(event.address, event.number, event.outcome))
        }
        await probing.value
        let statistics = prober.statistics
        if json {
            try Output.line(ProbeText.json(statistics, interrupted: probing.isCancelled))
        } else {
            if !quiet { try Output.line("") }
            let bars = isatty(STDOUT_FILENO) == 1 ? (width: Self.columns, character: Self.bar) : nil
            for host in statistics { try Output.line(ProbeText.summary(host, bars: bars) + "\n") }
        }
        throw ExitCode(ProbeStatistics.exitStatus(statistics))
    }

    /// Each probe under way holds a socket; the usual limit of 1024 is raised as far as the system lets it.
    private static func allowDescriptors(_ probes: Int) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let wanted = min(rlim_t(probes + 64), limit.rlim_max)
        guard wanted > limit.rlim_cur else { return }
        limit.rlim_cur = wanted
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return min(Int(size.ws_col), 160)
    }

    /// A full block where the terminal can be expected to show one.
    private static var bar: Character {
        let names: [String] = ["LC_ALL", "LC_CTYPE", "LANG"]
        let locale = names.compactMap { name in getenv(name).map { String(cString: $0) } }.first { !$0.isEmpty }
        return locale?.lowercased().contains("utf") == true ? "█" : "#"
    }
}

/// A duration that may be zero.
struct Pause: ExpressibleByArgument {
    var duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let duration = DurationText.parse(argument), duration >= .zero else { return nil }
        self.duration = duration
    }

    var defaultValueDescription: String { DurationText.format(duration) }
}
