import Foundation
import MySQLWire
import Testing

/// ARCHITECTURE.md walks from a socket to a turned router, and from a socket to a dump's file and target, hop by hop.
@Suite struct ArchitectureTests {
    private let root = Documentation.page("").deletingLastPathComponent()

    private var sources: [String: String] {
        get throws {
            var found: [String: String] = [:]
            let files = try #require(
                FileManager.default.enumerator(at: root.appending(path: "Sources"), includingPropertiesForKeys: nil))
            for case let file as URL in files where file.pathExtension == "swift" {
                found[file.deletingPathExtension().lastPathComponent, default: ""] += try String(
                    contentsOf: file, encoding: .utf8)
            }
            return found
        }
    }

    @Test func everyHopIsAFileAndAFunction() throws {
        let page = try String(contentsOf: root.appending(path: "ARCHITECTURE.md"), encoding: .utf8)
        let sources = try sources
        var hops = 0
        for walk in page.components(separatedBy: "| hop | file, function |").dropFirst() {
            for row in walk.split(separator: "\n").dropFirst().prefix(while: { $0.hasPrefix("| ") }) {
                let cell = row.split(separator: "|")[1]
                let words = cell.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map {
                    String($0.element)
                }
                let files = words.filter { $0.split(separator: "/").last?.first?.isUppercase == true }
                    .map { String($0.split(separator: "/").last ?? "") }
                #expect(!files.isEmpty, "\(row)")
                for file in files where sources[file] == nil {
                    let known = sources.values.contains {
                        $0.contains("struct \(file)") || $0.contains("class \(file)") || $0.contains("actor \(file)")
                    }
                    #expect(known, "\(file) in \(row)")
                }
                for word in words where word.first?.isLowercase == true {
                    let name = word.prefix { $0 != "(" }
                    #expect(
                        files.contains { file in
                            let text = sources[file] ?? ""
                            return text.contains("func \(name)(") || text.contains("func \(name)<")
                                || text.contains("\(name)(")
                        }, "\(word) in \(row)")
                }
                hops += 1
            }
        }
        #expect(hops > 20)
    }

    /// The newest heading with a number is the version of the program.
    @Test func theChangelogHasTheVersion() throws {
        let page = try String(contentsOf: root.appending(path: "CHANGELOG.md"), encoding: .utf8)
        let newest = page.split(separator: "\n").first { $0.hasPrefix("## [") && $0 != "## [Unreleased]" }
        #expect(newest?.hasPrefix("## [\(PackageVersion.current)] - ") == true)
    }

    @Test func theHouseIsDrawnOnAFewPages() throws {
        let page = try String(contentsOf: root.appending(path: "ARCHITECTURE.md"), encoding: .utf8)
        #expect(page.split(separator: "\n", omittingEmptySubsequences: false).count <= 201)
    }
}
