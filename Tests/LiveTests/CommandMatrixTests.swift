import Foundation
import Glibc
import MySQLWire
import TestBed
import Testing

/// `query` and `probe` as a user starts them, against both kinds of server, straight and through a router or a proxy,
/// in every TLS mode.
@Suite(.serialized) struct CommandMatrixTests {
    private func run(_ arguments: [String], in folder: GuardedFolder) async throws -> (status: Int32, output: String) {
        // The password's file is also what the guard knows the process by.
        try folder.write("password", TestAccount.agent.password)
        chmod("\(folder.path)/password", 0o600)
        let process = try GuardedProcess(
            "command-\(UInt32.random(in: 0...UInt32.max))", in: folder,
            command: [ProbeCommandTests.program] + arguments
                + ["--user", TestAccount.agent.user, "--password-file", "\(folder.path)/password"])
        return (try await process.exitStatus(within: .seconds(60)), process.output)
    }

    @Test(arguments: [MySQLServer.Kind.mysql, .mariadb])
    func everyServerInEveryMode(_ kind: MySQLServer.Kind) async throws {
        let certificates = try TestCertificates(names: "IP:127.0.0.1")
        defer { certificates.remove() }
        let stranger = try TestCertificates(names: "IP:127.0.0.1")
        defer { stranger.remove() }
        try await withServer(kind, options: certificates.serverOptions) { server in
            try await withRouter(to: [server]) { router in
                try await withHAProxy(to: server) { proxy in
                    let addresses = ["\(server.address)", "\(router.address)", "\(proxy.address)", server.socketPath]
                    for mode in TLSMode.allCases {
                        let tls = ["--tls", mode.rawValue, "--ca-file", certificates.authority]
                        for address in addresses {
                            let answer = try await run(
                                ["query", address, "SELECT @@port AS port"] + tls, in: server.folder)
                            #expect(answer.output == "port\n\(server.port)\n", "\(mode) \(address)")
                            #expect(answer.status == 0)
                        }
                        let probed = try await run(
                            ["probe"] + addresses + ["--count", "2", "--interval", "0s", "--timeout", "20s", "--json"]
                                + tls, in: server.folder)
                        #expect(probed.status == 0, "\(mode): \(probed.output)")
                        let document = try #require(
                            try JSONSerialization.jsonObject(with: Data(probed.output.utf8)) as? [String: Any])
                        let hosts = try #require(document["hosts"] as? [[String: Any]])
                        #expect(hosts.map { $0["answered"] as? Int } == [2, 2, 2, 2], "\(mode)")
                        let protected = hosts.map { ($0["tls"] as? String)?.hasPrefix("TLSv1") == true }
                        // Nobody stands between the ends of a unix socket.
                        let expected = mode != .disabled
                        #expect(protected == [expected, expected, expected, expected && mode != .preferred], "\(mode)")
                    }
                    let untrusted = try await run(
                        ["query", addresses[1], "SELECT 1", "--tls", "verify-ca", "--ca-file", stranger.authority],
                        in: server.folder)
                    #expect(untrusted.status == 3 && untrusted.output.contains("certificate"), "\(untrusted.output)")
                }
            }
        }
    }
}
