import MySQLWire
import Watchdog

extension Configuration {
    /// What an agent of the models goes by: read as an agent reads its file.
    static func ofModel(_ mode: Mode, agent: String) -> Configuration {
        let modeLines =
            switch mode {
            case .quorum: "mode = \"quorum\"\nagents = [\"web1\", \"web2\", \"web3\"]"
            case .routerLed: "mode = \"router-led\""
            }
        let text = """
            cluster = "shop"
            \(modeLines)
            working_directory = "/nowhere"
            [agent]
            name = "\(agent)"
            [servers.a]
            address = "10.0.0.1:3306"
            [servers.b]
            address = "10.0.0.2:3306"
            [credentials]
            user = "watchdog"
            [replication]
            user = "repl"
            password = "y"
            [router]
            address = "127.0.0.1:7001"
            config_file = "/nowhere/router.conf"
            section = "routing:mysql_failover"
            restart = ["true"]
            stop = ["true"]
            destinations = "\(mode == .quorum ? "primary-only" : "primary-first")"
            """
        do {
            return try parse(text, file: "model", surroundings: .init(password: Secret("x")))
        } catch {
            fatalError("the model's configuration: \(error)")
        }
    }
}
