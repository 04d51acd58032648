import Glibc
import MySQLDump
import MySQLWire

extension Agent {
    /// Looks at the servers, this host's router and its own place, and says what is wrong and what mends it. Changes
    /// nothing; beside the router's file one is made and removed again. Each server has 20 s to answer.
    package func check() async -> CheckReport {
        let probe = ServerSettingsProbe(configuration: configuration)
        var findings: [Finding] = []
        var servers: [ServerID: ServerSettings] = [:]
        for id in ServerID.allCases {
            do throws(MySQLError) {
                servers[id] = try await probe.read(id, deadline: .after(.seconds(20)))
            } catch {
                findings.append(
                    Finding(
                        .critical, "server \(id) (\(configuration.servers[id]))", "\(error)", remedy: Remedy.of(error)))
            }
        }
        for id in ServerID.allCases {
            guard let settings = servers[id] else { continue }
            findings += CheckServer(configuration: configuration, id: id, settings: settings).findings()
        }
        if let a = servers[.a], let b = servers[.b] {
            findings += CheckPair(configuration: configuration, a: a, b: b).findings()
            findings += CheckPreconditions(configuration: configuration, servers: [.a: a, .b: b]).findings()
        }
        let host = await HostSettingsProbe(configuration: configuration).read(servers: Set(servers.keys))
        findings += CheckHost(configuration: configuration, host: host, servers: servers).findings()
        return CheckReport(findings: findings)
    }
}

/// Looks at this host.
struct HostSettingsProbe {
    let configuration: Configuration

    func read(servers: Set<ServerID>) async -> HostSettings {
        let router = LocalRouter(configuration: configuration)
        let behind: Result<String, MySQLError>
        do throws(MySQLError) {
            behind = .success(try await router.identity(deadline: .after(.seconds(3))).lowercased())
        } catch {
            behind = .failure(error)
        }
        var host = HostSettings(behindRouter: behind)
        do throws(RouterError) {
            host.destinations = try await router.currentDestinations()
            host.strategy = try await router.option("routing_strategy")
            host.otherSections = try router.otherSections()
        } catch {
            host.fileProblem = "\(error)"
        }
        do throws(RouterError) {
            if case .inPlace(let why) = try router.wayToWrite() { host.inPlace = why }
        } catch {
            host.writeProblem = "\(error)"
        }
        let commands = [
            configuration.router.restart, configuration.router.stop, configuration.safety.fenceCommand,
            configuration.rebuild.restart,
        ]
        host.missingPrograms = commands.compactMap(\.first).filter { !Self.canRun($0) }
        host.directoryProblem = await directoryProblem(servers)
        host.saved = SavedFiles.find(in: configuration.workingDirectory)
        if configuration.mode == .quorum {
            do {
                host.isDouble = try DurableStateFile(configuration).read().isDouble
            } catch {
                host.stateProblem = "\(error)"
            }
        }
        return host
    }

    private func directoryProblem(_ servers: Set<ServerID>) async -> String? {
        let directory = WorkingDirectory(path: configuration.workingDirectory)
        do throws(AgentError) {
            try directory.checkExists()
            for id in servers {
                let size: UInt64
                do throws(DumpError) {
                    size = try await MySQLDump.estimateSize(
                        of: configuration.connectionOptions(configuration.servers[id]), options: DumpOptions(),
                        deadline: .after(.seconds(20)))
                } catch {
                    throw AgentError(.dump(error), "see how large a dump of \(id) would be")
                }
                try directory.check(roomFor: size)
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// As a shell finds it: by its path, or along PATH.
    static func canRun(_ program: String) -> Bool {
        if program.contains("/") { return access(program, X_OK) == 0 }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }
}
