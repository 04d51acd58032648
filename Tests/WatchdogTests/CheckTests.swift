import Foundation
import MySQLWire
import Testing

@testable import Watchdog

/// What `check` finds, one fault at a time, in a house that is otherwise in order.
@Suite struct CheckTests {
    static let good = [
        "server_id": "1", "gtid_mode": "ON", "enforce_gtid_consistency": "ON", "log_bin": "ON",
        "log_replica_updates": "ON", "binlog_format": "ROW", "sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1",
        "binlog_expire_logs_seconds": "2592000", "replica_preserve_commit_order": "ON",
        "rpl_semi_sync_source_enabled": "ON", "rpl_semi_sync_replica_enabled": "ON",
        "rpl_semi_sync_source_wait_point": "AFTER_SYNC", "rpl_semi_sync_source_timeout": "4294967295",
        "rpl_semi_sync_source_wait_no_replica": "ON", "rpl_semi_sync_source_wait_for_replica_count": "1",
        "lower_case_table_names": "0", "sql_mode": "", "collation_server": "utf8mb4_0900_ai_ci",
    ]

    struct House {
        var configuration = Fixture.configuration()
        var a = ServerSettings(facts: QuorumPolicyTests.primary())
        var b = ServerSettings(facts: QuorumPolicyTests.replica())
        var host = HostSettings(behindRouter: .success(Fixture.uuidA))

        init() {
            configuration.mode = .quorum
            configuration.agents = QuorumPolicyTests.agents
            host.destinations = [configuration.servers.a]
            a.variables = good
            b.variables = good
            b.channels = [.init(autoPosition: true, heartbeat: 1)]
            for path in [\House.a, \House.b] {
                let facts = self[keyPath: path].facts
                self[keyPath: path].privileges = Set(CheckServer.privileges(facts.version, clone: true))
                self[keyPath: path].replicationHosts = ["%"]
            }
        }

        /// Nothing that was broken bears on what a failover may lose.
        var isLossless: Bool {
            [a, b].allSatisfy { settings in
                Self.lossless.allSatisfy { settings.variables[$0] == good[$0] } && settings.facts.performanceSchema
                    && settings.facts.quorum?.filtered == "" && !settings.facts.isOffline
                    && settings.facts.quorum?.semiSync.wanted == 1
            } && a.facts.quorum?.semiSync.guarantees == true && a.facts.quorum?.bootsClosed == true
                && a.facts.quorum?.semiSync.acknowledgers == [Fixture.uuidB]
                && b.facts.channels.first?.delay == 0
        }
        private static let lossless = good.keys.filter { $0.hasPrefix("rpl_semi_sync") }

        var report: CheckReport {
            CheckReport(
                findings: CheckServer(configuration: configuration, id: .a, settings: a).findings()
                    + CheckServer(configuration: configuration, id: .b, settings: b).findings()
                    + CheckPair(configuration: configuration, a: a, b: b).findings()
                    + CheckPreconditions(configuration: configuration, servers: [.a: a, .b: b]).findings()
                    + CheckHost(configuration: configuration, host: host, servers: [.a: a, .b: b]).findings())
        }
    }

    @Test func aHouseInOrderHasNothingToMend() {
        let report = House().report
        #expect(report.exitStatus == 0, "\(report.text())")
        #expect(report.text().hasSuffix("0 critical, 0 warning, 17 ok"), "\(report.text())")
    }

    struct Fault: Sendable, CustomStringConvertible {
        var level: Finding.Level
        /// Words of the finding, and of its remedy.
        var description: String
        var remedy: String
        var make: @Sendable (inout House) -> Void

        init(
            _ level: Finding.Level, _ description: String, _ remedy: String,
            _ make: @escaping @Sendable (inout House) -> Void
        ) {
            (self.level, self.description, self.remedy, self.make) = (level, description, remedy, make)
        }
    }

    static let faults: [Fault] = [
        Fault(.critical, "gtid_mode is OFF", "gtid_mode = ON") { $0.a.variables["gtid_mode"] = "OFF" },
        Fault(.critical, "log_replica_updates is OFF", "log_replica_updates = ON") {
            $0.b.variables["log_replica_updates"] = "OFF"
        },
        // Under its name before 8.0.26.
        Fault(.critical, "log_replica_updates is 0", "log_replica_updates = ON") {
            $0.b.variables["log_replica_updates"] = nil
            $0.b.variables["log_slave_updates"] = "0"
        },
        Fault(.critical, "binlog_ignore_db = archive", "rebuild the replica") {
            $0.a.logFilter = "binlog_ignore_db = archive"
        },
        Fault(.warning, "performance_schema is OFF on b", "performance_schema = ON") {
            $0.b.facts.performanceSchema = false
        },
        Fault(.warning, "a server that is not b acknowledges to a", "rpl_semi_sync_replica_enabled = OFF") {
            $0.a.facts.quorum?.semiSync.clients = 2
            $0.a.facts.quorum?.semiSync.acknowledgers.append(StrangerTests.uuid)
        },
        Fault(.warning, "a does not say who acknowledges", "performance_schema_max_thread_instances") {
            $0.a.facts.quorum?.semiSync.acknowledgers = []
        },
        Fault(.warning, "a commit on b waits for 2 acknowledgements", "wait_for_replica_count = 1") {
            $0.b.facts.quorum?.semiSync.wanted = 2
        },
        Fault(.critical, "b may lack rows whose GTIDs it has (replication filters)", "Replacing the data") {
            $0.b.facts.quorum?.filtered = "replication filters"
        },
        Fault(.critical, "a would lack rows whose GTIDs it has, once it is a replica", "take the settings away") {
            $0.a.facts.quorum?.filtered = "replication filters"
        },
        Fault(.warning, "a may start open", "SET PERSIST_ONLY super_read_only = ON") {
            $0.a.facts.quorum?.bootsClosed = false
        },
        Fault(.warning, "replication from a is not semi-synchronous at this moment", "the agents switch it on") {
            $0.a.facts.quorum?.semiSync.active = false
        },
        Fault(.critical, "a is in offline_mode", "SET GLOBAL offline_mode = OFF") { $0.a.facts.isOffline = true },
        Fault(.warning, "b is in offline_mode: a switchover", "SET GLOBAL offline_mode = OFF") {
            $0.b.facts.isOffline = true
        },
        Fault(.warning, "repl_watchdog.history is not as the agents make it", "RENAME TABLE repl_watchdog.history") {
            $0.a.facts.quorum?.misshapen = ["repl_watchdog.history"]
        },
        Fault(.warning, "sync_binlog is 0", "sync_binlog = 1") { $0.a.variables["sync_binlog"] = "0" },
        Fault(.warning, "binlog_expire_logs_seconds is 3600", "2592000") {
            $0.a.variables["binlog_expire_logs_seconds"] = "3600"
        },
        Fault(.critical, "'watchdog' lacks RELOAD, BACKUP_ADMIN", "GRANT ALL PRIVILEGES ON *.* TO 'watchdog'") {
            $0.a.privileges.subtract(["RELOAD", "BACKUP_ADMIN"])
        },
        Fault(.critical, "'watchdog' lacks PERSIST_RO_VARIABLES_ADMIN", "GRANT ALL PRIVILEGES") {
            $0.a.privileges.remove("PERSIST_RO_VARIABLES_ADMIN")
        },
        Fault(.critical, "'watchdog' lacks SET_USER_ID", "GRANT ALL PRIVILEGES") {
            $0.a.facts.version = ServerVersion("8.0.36")
            $0.b.facts.version = ServerVersion("8.0.36")
            $0.b.privileges.insert("SET_USER_ID")
        },
        Fault(.critical, "'watchdog' lacks GRANT OPTION", "WITH GRANT OPTION") {
            $0.a.privileges.remove("GRANT OPTION")
        },
        Fault(
            .critical, "accounts hold FILE, SHUTDOWN, which 'watchdog' cannot give: a rebuild", "GRANT ALL PRIVILEGES"
        ) {
            $0.a.heldPrivileges = ["SELECT", "FILE", "SHUTDOWN"]
        },
        Fault(.critical, "'watchdog' lacks CLONE_ADMIN", "GRANT ALL PRIVILEGES") {
            $0.configuration.rebuild.clone = true
            $0.a.privileges.remove("CLONE_ADMIN")
        },
        Fault(.warning, "lacks RELOAD, unless by a role", "GRANT ALL") {
            $0.a.privileges.remove("RELOAD")
            $0.a.hasRoles = true
        },
        Fault(.critical, "there is no account 'repl'", "GRANT REPLICATION SLAVE") { $0.a.replicationHosts = [] },
        Fault(.warning, "2 tables are no InnoDB: shop.old (MyISAM) and others", "ENGINE = InnoDB") {
            $0.a.otherEngines = .init(count: 2, some: ["shop.old (MyISAM)"])
        },
        Fault(.warning, "1 tables have no primary key: shop.log", "ADD PRIMARY KEY") {
            $0.b.keyless = .init(count: 1, some: ["shop.log"])
        },
        Fault(.warning, "1 prepared XA transaction on b that no session owns", "on the primary, from where") {
            $0.b.abandoned = AbandonedTransactions(prepared: nil, count: 1, age: 100)
        },
        Fault(.critical, "by file and position", "SOURCE_AUTO_POSITION = 1") { $0.b.channels[0].autoPosition = false },
        Fault(.warning, "every 30.0 s", "SOURCE_HEARTBEAT_PERIOD = 1") { $0.b.channels[0].heartbeat = 30 },
        Fault(.critical, "a replica and not closed", "super_read_only = ON") { $0.b.facts.superReadOnly = false },
        Fault(.warning, "b applies 600 s late", "SOURCE_DELAY = 0") { $0.b.facts.channels[0].delay = 600 },
        Fault(.warning, "replication is interrupted", "START REPLICA") { $0.b.facts.channels[0].applierErrno = 1205 },
        Fault(.critical, "replication is broken", "") { $0.b.facts.channels[0].applierErrno = 1062 },
        Fault(.warning, "replication is asynchronous", "plugin_load_add") {
            $0.a.variables["rpl_semi_sync_source_enabled"] = nil
        },
        Fault(.warning, "wait_point is AFTER_COMMIT", "rpl_semi_sync_source_wait_point = AFTER_SYNC") {
            $0.a.variables["rpl_semi_sync_source_wait_point"] = "AFTER_COMMIT"
        },
        Fault(.warning, "source_timeout is 10000 ms", "4294967295") {
            $0.b.variables["rpl_semi_sync_source_timeout"] = "10000"
        },
        Fault(.critical, "one server_uuid", "auto.cnf") { $0.b.facts.uuid = $0.a.facts.uuid },
        Fault(.critical, "one server_id", "server_id = 2") { ($0.a.facts.serverID, $0.b.facts.serverID) = (1, 1) },
        Fault(.critical, "lower_case_table_names differs: '0' on a, '1' on b", "the same") {
            $0.b.variables["lower_case_table_names"] = "1"
        },
        Fault(.critical, "neither replicates from the other", "CHANGE REPLICATION SOURCE") {
            $0.b.facts.channels = []
            $0.b.channels = []
        },
        Fault(.critical, "each replicates from the other", "RESET REPLICA ALL") {
            $0.a.facts.channels = [Fixture.channel(from: .b)]
        },
        Fault(.critical, "a third server", "") { $0.b.facts.channels[0].sourceUUID = "cccccccc" },
        Fault(.critical, "lists more than one server", "the primary alone") {
            $0.host.destinations = [$0.configuration.servers.a, $0.configuration.servers.b]
        },
        Fault(.critical, "[routing:rw2] leads to the servers too", "take the section away") {
            $0.host.otherSections = [.init(name: "routing:rw2", isForReading: false)]
        },
        Fault(.critical, "no room in that file: this host's router stays", "ReadWritePaths") {
            $0.host.writeProblem = "no room in that file"
        },
        Fault(.warning, "(a bind mount): a crash in that moment", "mount the directory") {
            $0.host.inPlace = "a bind mount"
        },
        Fault(.critical, "none of the two servers", "[router] address") { $0.host.behindRouter = .success("cccccccc") },
        Fault(.critical, "this host's agent has closed it: another host's agent goes by the name web1", "agent.name") {
            $0.host.isDouble = true
            $0.host.behindRouter = .failure(
                MySQLError(.refused, phase: .connect, server: "127.0.0.1:7001", message: "Connection refused"))
        },
        Fault(.critical, "answers without TLS, and tls = \"required\"", "router.tls = \"disabled\"") {
            $0.configuration.credentials.tls = .required
            $0.host.behindRouter = .failure(MySQLError(.tls, phase: .greeting, server: "", message: "no TLS"))
        },
        Fault(.critical, "the certificate is not trusted", "see that mysqlrouter runs") {
            $0.host.behindRouter = .failure(
                MySQLError(.tls, phase: .tls, server: "", message: "the certificate is not trusted"))
        },
        Fault(.critical, "leads to b, which is the replica of a", "start this host's agent") {
            $0.host.behindRouter = .success(Fixture.uuidB)
        },
        Fault(.warning, "leads to b, which is the replica of a", "run this host's agent") {
            $0.configuration.mode = .routerLed
            $0.configuration.agents = []
            $0.host.behindRouter = .success(Fixture.uuidB)
        },
        Fault(.warning, "not among [servers]", "alike") {
            $0.host.destinations = [.tcp(host: "elsewhere", port: 3306)]
        },
        Fault(.critical, "/bin/gone is not there", "correct the command") { $0.host.missingPrograms = ["/bin/gone"] },
        Fault(.critical, "no room", "") { $0.host.directoryProblem = "no room" },
        Fault(.critical, "the file is damaged", "") { $0.host.stateProblem = "the file is damaged" },
        Fault(
            .warning, "holds 11 dumps of rebuilds, 3 MiB, the oldest my-shop-b-20250102T030405Z-epoch1.sql.gz", "delete"
        ) {
            let names = (1...10).map { "shop-a-20260102T0304\($0 + 10)Z-epoch\($0).sql.gz" }
            $0.host.saved = SavedFiles(names: names + ["my-shop-b-20250102T030405Z-epoch1.sql.gz"], bytes: 3 << 20)
        },
        Fault(.warning, "not at work: web3", "repl-watchdog run") {
            $0.a.facts.quorum?.seesPrimary = AgentSet([0, 1])
        },
        Fault(.warning, "two agents decide only together", "three or more") {
            $0.configuration.agents = ["web1", "web2"]
        },
        Fault(.warning, "nothing proves that the router", "fence_command") {
            $0.a.facts.quorum?.semiSync.withoutFallback = false
        },
        Fault(.critical, "web3 goes by another configuration: safety", "the same") {
            let other = ConfigurationDigest($0.configuration).description
            $0.a.facts.quorum?.strangers = ["web3": other.replacing("safety=", with: "safety=1")]
        },
    ]

    @Test(arguments: faults) func isNamedWithItsRemedy(_ fault: Fault) {
        var house = House()
        fault.make(&house)
        let report = house.report
        let found = report.findings.filter { $0.text.contains(fault.description) }
        #expect(found.count == 1 && found.first?.level == fault.level, "\(report.text())")
        #expect(fault.remedy.isEmpty || found.first?.remedy?.contains(fault.remedy) == true, "\(report.text())")
        #expect(report.exitStatus >= (fault.level == .critical ? 2 : 1))
        let isPromised = report.text().contains("no failover loses an acknowledged commit")
        #expect(!isPromised || house.isLossless, "\(report.text())")
    }

    @Test func aSectionForReadingIsNamedAndNoFault() {
        var house = House()
        house.host.otherSections = [.init(name: "routing:ro", isForReading: true)]
        #expect(house.report.exitStatus == 0)
        #expect(house.report.text().contains("[routing:ro] leads to the servers too"), "\(house.report.text())")
    }

    @Test func aRouterThatGoesBackByItselfSplitsTheWrites() {
        var house = House()
        house.configuration.mode = .routerLed
        house.host.destinations = [house.configuration.servers.a, house.configuration.servers.b]
        (house.a.facts.readOnly, house.b.facts.readOnly, house.b.facts.superReadOnly) = (false, false, false)
        house.host.strategy = "next-available"
        #expect(house.report.exitStatus == 0, "\(house.report.text())")
        house.host.strategy = "first-available"
        #expect(house.report.text().hasPrefix("critical  router: "), "\(house.report.text())")
    }

    @Test func noMoreIsWantedThanThereIs() {
        func names(_ version: String, clone: Bool = false) -> Set<String> {
            Set(CheckServer.privileges(ServerVersion(version), clone: clone))
        }
        #expect(names("5.7.44").allSatisfy { !$0.contains("_") })
        #expect(!names("8.0.15").contains("SYSTEM_USER") && names("8.0.16").contains("SYSTEM_USER"))
        #expect(names("8.1.0").contains("SET_USER_ID") && !names("8.2.0").contains("SET_USER_ID"))
        #expect(names("9.7.0", clone: true).subtracting(names("9.7.0")) == ["CLONE_ADMIN"])
    }

    @Test func oneDocumentForMachines() {
        var house = House()
        house.a.variables["gtid_mode"] = "OFF"
        let json = house.report.json()
        #expect(
            json.hasPrefix(
                "{\"exit_status\":2,\"findings\":[{\"level\":\"critical\",\"subject\":\"server a (10.0.0.1:3306)\""))
        #expect(json.contains("\"remedy\":\"my.cnf, [mysqld]: gtid_mode = ON\""))
    }

    /// A house that was set up by the README has nothing to mend.
    @Test func theReadmeSetsUpWhatIsAskedFor() throws {
        let readme = try String(
            contentsOf: Documentation.page("").deletingLastPathComponent().appending(path: "README.md"),
            encoding: .utf8)
        let steps = [
            "CREATE USER 'repl-watchdog'", "CREATE USER 'repl'", "CHANGE REPLICATION SOURCE TO SOURCE_HOST",
            "SOURCE_AUTO_POSITION = 1, SOURCE_HEARTBEAT_PERIOD = 1;", "`super_read_only = ON`",
        ]
        var rest = readme[...]
        for step in steps {
            let place = try #require(rest.range(of: step), "\(step) is not there, or not in its place")
            rest = rest[place.upperBound...]
        }
    }

    @Test func programsAreFoundAsAShellFindsThem() {
        #expect(HostSettingsProbe.canRun("/bin/sh") && HostSettingsProbe.canRun("sh"))
        #expect(!HostSettingsProbe.canRun("/etc/passwd") && !HostSettingsProbe.canRun("no-such-program"))
    }
}
