import MySQLWire

extension Configuration {
    /// An example with every key; the file in Packaging/ is the same text.
    package static let example = #"""
        # /etc/repl-watchdog.toml - configuration of repl-watchdog, the failover agent beside a local mysqlrouter.
        # The same file on every backend, but for agent.name. Durations are written "500ms", "2s", "5m", "1h".

        # A name for this pair of servers, for logs and reports.
        cluster = "shop"

        # "router-led": the router moves first, the agents put things in order when both servers answer again.
        # "quorum": three or more daemons decide by majority and replace a dead primary at once (documentation: Guarantees).
        mode = "router-led"

        # Every agent's name. Optional with mode = "router-led".
        # agents = ["web1", "web2", "web3"]

        # Dumps and the agent's state. Must exist and have room for two dumps of a server.
        working_directory = "/var/lib/repl-watchdog"

        [agent]
        # name = "web1"                  # default: the host name; must differ on every backend
        interval = "1s"                  # between two looks of the daemon
        probe_timeout = "2s"             # longest wait for one server's answer

        [servers.a]
        address = "10.0.0.1:3306"

        [servers.b]
        address = "10.0.0.2:3306"

        # The agent's own account on both servers.
        [credentials]
        user = "repl-watchdog"
        password_file = "/etc/repl-watchdog/password"   # or password = "...", or $REPL_WATCHDOG_PASSWORD
        tls = "preferred"                # disabled, preferred, required, verify-ca, verify-identity
        # ca_file = "/etc/repl-watchdog/ca.pem"         # with verify-ca and verify-identity; default: the system's store

        # What a rebuilt replica uses to reach its source.
        [replication]
        user = "repl"
        password_file = "/etc/repl-watchdog/repl-password"
        # peer = "bdd-peer:3306"         # a name that means the other server on each; default: the source's own address

        [router]
        address = "127.0.0.1:7001"
        config_file = "/etc/mysqlrouter/mysqlrouter.conf"
        section = "routing:mysql_failover"
        restart = ["systemctl", "restart", "mysqlrouter"]
        stop = ["systemctl", "stop", "mysqlrouter"]
        destinations = "primary-first"   # with mode = "router-led": both servers; with "quorum": "primary-only"
        bound = false                    # true: the router stops when its agent dies or hangs (Packaging/systemd)
        # tls = "disabled"               # where the router's section has client_ssl_mode = DISABLED; default: [credentials] tls

        [safety]
        operation_timeout = "6h"         # longest time for a whole operation, dump and import included
        # The rest is for mode = "quorum".
        max_lost_transactions = 0        # 0: only what a semi-synchronous primary cannot have lost is replaced without asking
        drain_timeout = "60s"            # longest wait for what the replica has received to be applied
        block_period = "1h"              # after a failover no automatic one for so long; 'ack' lifts it, "0s" switches it off
        max_failovers_per_day = 3
        max_rebuilds_per_day = 3         # a replica that breaks again after so many is left to you, and one whose copy fails so
                                         # often; 'ack' lifts it
        max_rebuilds_per_cause = 1       # the same, of one cause
        stalled_after = "0s"             # a primary whose writes hang for so long is replaced; "0s": reported only
        # fence_command = ["/usr/local/sbin/power-off"]   # makes sure that a server is off; gets its address, 0 means done

        # A server that cannot be brought back by GTID is saved, then rebuilt.
        [rebuild]
        clone = false                    # true: by the clone plugin where both servers can, else by dump and import
        # restart = ["ssh", "{host}", "systemctl", "start", "mysql"]   # with clone: starts a server that ended after it
        restart_timeout = "2m"           # how long a cloned server may take to come back

        """#

    /// What the agent works with, defaults filled in, as TOML. Secrets are left out.
    package var text: String {
        var lines: [String] = []
        func add(_ key: String, _ value: String) { lines.append("\(key) = \(value)") }
        func quoted(_ text: String) -> String {
            var out = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": out += "\\\""
                case "\\": out += "\\\\"
                case "\n": out += "\\n"
                case "\u{00}"..."\u{1F}", "\u{7F}":
                    let digits = String(scalar.value, radix: 16, uppercase: true)
                    out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                default: out.unicodeScalars.append(scalar)
                }
            }
            return out + "\""
        }
        func quoted(_ list: [String]) -> String { "[" + list.map { quoted($0) }.joined(separator: ", ") + "]" }
        func quoted(_ duration: Duration) -> String { quoted(DurationText.format(duration)) }

        add("cluster", quoted(cluster))
        add("mode", quoted(mode.rawValue))
        if !agents.isEmpty { add("agents", quoted(agents)) }
        add("working_directory", quoted(workingDirectory))
        lines += ["", "[agent]"]
        add("name", quoted(agent.name))
        add("interval", quoted(agent.interval))
        add("probe_timeout", quoted(agent.probeTimeout))
        lines += ["", "[servers.a]"]
        add("address", quoted(servers.a.description))
        lines += ["", "[servers.b]"]
        add("address", quoted(servers.b.description))
        lines += ["", "[credentials]"]
        add("user", quoted(credentials.user))
        lines.append("# the password is not shown")
        add("tls", quoted(credentials.tls.rawValue))
        if let caFile = credentials.caFile { add("ca_file", quoted(caFile)) }
        lines += ["", "[replication]"]
        add("user", quoted(replication.user))
        lines.append("# the password is not shown")
        if let peer = replication.peer { add("peer", quoted(peer.description)) }
        lines += ["", "[router]"]
        add("address", quoted(router.address.description))
        add("config_file", quoted(router.configFile))
        add("section", quoted(router.section))
        add("restart", quoted(router.restart))
        if !router.stop.isEmpty { add("stop", quoted(router.stop)) }
        add("destinations", quoted(router.destinations.rawValue))
        add("bound", String(router.bound))
        if let tls = router.tls { add("tls", quoted(tls.rawValue)) }
        lines += ["", "[safety]"]
        add("max_lost_transactions", String(safety.maxLostTransactions))
        add("drain_timeout", quoted(safety.drainTimeout))
        add("operation_timeout", quoted(safety.operationTimeout))
        add("block_period", quoted(safety.blockPeriod))
        add("max_failovers_per_day", String(safety.failoversPerDay))
        add("max_rebuilds_per_day", String(safety.rebuildsPerDay))
        add("max_rebuilds_per_cause", String(safety.rebuildsPerCause))
        add("stalled_after", quoted(safety.stalledAfter))
        if !safety.fenceCommand.isEmpty { add("fence_command", quoted(safety.fenceCommand)) }
        lines += ["", "[rebuild]"]
        add("clone", rebuild.clone ? "true" : "false")
        if !rebuild.restart.isEmpty { add("restart", quoted(rebuild.restart)) }
        add("restart_timeout", quoted(rebuild.restartTimeout))
        return lines.joined(separator: "\n") + "\n"
    }
}
