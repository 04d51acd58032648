import ArgumentParser
import MySQLDump
import MySQLWire
import Watchdog

/// Leave to wipe a server, for the commands that do.
struct TargetOptions: ParsableArguments {
    @Flag(help: "Yes, wipe that server.")
    var yes = false

    @Option(
        help: ArgumentHelp(
            "Wipe it also where it is one of the cluster's servers, or in use: its name in the configuration (a or b), "
                + "or its address as given.",
            valueName: "name"))
    var replaceClusterServer: String?

    func check(_ target: ServerAddress) throws {
        guard yes else {
            throw ValidationError("this wipes every schema on \(target); say --yes if that is what you want")
        }
    }

    /// Looks at the target, says what it holds, and refuses one that is somebody's.
    /// - Parameter servers: those of the configuration, where one was read.
    func look(_ target: ConnectionOptions, _ servers: Configuration.Servers?) async throws {
        let address = target.address
        let member = ServerID.allCases.first { servers?[$0] == address }
        let use: TargetUse
        do throws(DumpError) {
            use = try await TargetUse.look(target, deadline: .after(.seconds(30)))
        } catch {
            Output.complain("\(error)")
            throw ExitCode(ExitStatus.of(error))
        }
        let schemas = use.schemas.prefix(8).map { "\($0.name) (\($0.tables) tables)" }
        let holds =
            schemas.isEmpty
            ? "\(address) holds no databases"
            : "\(address) holds " + schemas.joined(separator: ", ") + (use.schemas.count > 8 ? ", ..." : "")
        var reasons = member.map { ["it is server \($0) of the configuration"] } ?? []
        if !use.users.isEmpty { reasons.append("it is used by \(use.users.joined(separator: ", "))") }
        let names = [address.description] + (member.map { ["\($0)"] } ?? [])
        guard reasons.isEmpty || replaceClusterServer.map({ names.contains($0) }) == true else {
            Output.complain(
                "\(address) is not wiped: \(reasons.joined(separator: ", and ")). \(holds). If all of that may go, say "
                    + "--replace-cluster-server \(names.last ?? "")")
            throw ExitCode(ExitStatus.usage)
        }
        Output.complain("\(holds); it is replaced")
    }
}
