import ArgumentParser
import Watchdog

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The configuration: check and show it, or print an example.",
        subcommands: [Show.self, Example.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the configuration and print it with its defaults, without secrets.")

        @OptionGroup var common: CommonOptions

        func run() async throws { try Output.write(Array(try common.configuration().text.utf8)) }
    }

    struct Example: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print an example with every key.")

        func run() async throws { try Output.write(Array(Configuration.example.utf8)) }
    }
}
