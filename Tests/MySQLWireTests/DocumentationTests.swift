import Foundation
import TestBed
import Testing

@testable import MySQLWire

/// What the documentation shows is what was compiled, and it works.
@Suite(.server(.mysql))
struct DocumentationTests {
    @Test func theArticlesCodeIsTheCodeThatIsCompiled() throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let source = try Self.lines(
            of: String(contentsOf: here.appending(path: "GettingStarted.swift"), encoding: .utf8))
        let folder = here.appending(path: "../../Sources/MySQLWire/MySQLWire.docc")
        let article = try String(contentsOf: folder.appending(path: "GettingStarted.md"), encoding: .utf8)
        let blocks = article.components(separatedBy: "```swift\n").dropFirst()
            .map { $0.components(separatedBy: "\n```")[0] }
        #expect(blocks.count == 5)
        for block in blocks {
            #expect(source.contains(Self.lines(of: block)), "not in GettingStarted.swift: \(block)")
        }
    }

    /// Without indentation.
    private static func lines(of text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "\n")
    }

    @Test func theArticlesCodeWorks() async throws {
        let server = try SharedServer.current
        let agent = try await MySQLConnection.connect(server.connectionOptions(.agent), deadline: soon)
        for statement in ["CREATE DATABASE app", "GRANT ALL ON app.* TO app"] {
            _ = try await agent.query(statement, deadline: soon)
        }
        await agent.close()
        guard case .tcp(let host, let port) = server.connectionOptions(.agent).address else {
            Issue.record("the server is not reached by TCP")
            return
        }
        let connection = try await GettingStarted.connect(
            host: host, port: port, password: TestAccount.application.password)
        #expect(try await GettingStarted.ask(connection) == connection.serverVersion.text)
        #expect(try await GettingStarted.quote(connection, "Zoë's \\ \"name\"") == 14)
        #expect(try await GettingStarted.stream(connection) > 10)
        #expect(
            await GettingStarted.handleErrors(connection) == "it does not exist; the connection may be used again")
        #expect(connection.isOpen)
        await connection.close()
    }
}
