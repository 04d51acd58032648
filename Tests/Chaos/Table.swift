import Foundation
import Glibc
import TestBed

func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

func seconds(_ duration: Duration?) -> String {
    guard let duration else { return "-" }
    return String(format: "%.2f", duration / .seconds(1))
}

/// Median and worst of some durations, in seconds.
func spread(_ durations: [Duration]) -> String {
    guard let worst = durations.max() else { return "-" }
    return "\(seconds(durations.sorted()[durations.count / 2])) / \(seconds(worst))"
}

/// The rounds, one line for each fault.
func table(_ rounds: [Trial.Round]) -> String {
    let scenarios = Fault.all.map(\.scenario).filter { scenario in rounds.contains { $0.fault.scenario == scenario } }
    let title = "times  failovers  first write on the other, s  longest pause, s   whole again, s"
    var lines = ["\(pad("", 7))\(title)  fault", "\(pad("", 37))median / worst   median / worst     median / worst"]
    for scenario in scenarios {
        let own = rounds.filter { $0.fault.scenario == scenario }
        lines.append(
            pad(scenario, 7) + pad("\(own.count)", 7) + pad("\(own.count { $0.wasFailover })", 12)
                + pad(spread(own.compactMap(\.outage.toFirstOnOther)), 28)
                + pad(spread(own.map(\.outage.longestPause)), 19)
                + pad(spread(own.map(\.whole)), 16) + own[0].fault.name)
    }
    return lines.joined(separator: "\n")
}

/// Copies what is needed to understand a failure out of folders that are about to be removed.
/// - Returns: the folder with the copies.
func keepLogs(_ cluster: HostCluster, name: String) -> String {
    let files = FileManager.default
    let folder = files.temporaryDirectory.appending(path: "chaos-\(name)-\(getpid())")
    func copy(_ from: String, _ to: String) {
        let target = folder.appending(path: to)
        try? files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? files.removeItem(at: target)
        try? files.copyItem(at: URL(filePath: from), to: target)
    }
    for backend in cluster.backends {
        for file in (try? files.contentsOfDirectory(atPath: backend.folder.path)) ?? [] where file != "work" {
            copy("\(backend.folder.path)/\(file)", "\(backend.name)/\(file)")
        }
        copy(backend.workingDirectory, "\(backend.name)/work")
        for file in ["mysqlrouter.log", "mysqlrouter.conf", "control.log"] {
            copy("\(backend.router.folder.path)/\(file)", "\(backend.name)/\(file)")
        }
    }
    for server in cluster.servers { copy("\(server.folder.path)/error.log", "\(server.name).log") }
    return folder.path(percentEncoded: false)
}

/// A line on standard output, at once, also when that is a file.
func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}
