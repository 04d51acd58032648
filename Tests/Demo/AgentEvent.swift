import Foundation

/// A line of an agent's log (`--log-format json`) that belongs into the timeline.
enum AgentEvent {
    /// A signal, and the name of the server whose ledger it was written to (`a` or `b`).
    case signal(String, server: String)
    case state(String, why: String)
    case remark(String)

    init?(_ line: String) {
        guard var fields = try? JSONDecoder().decode([String: String].self, from: Data(line.utf8)),
            let message = fields.removeValue(forKey: "message"), let level = fields.removeValue(forKey: "level")
        else { return nil }
        for unwanted in ["time", "report", "event", "reason"] { fields[unwanted] = nil }
        switch message {
        case "state":
            self = .state(fields["state"] ?? "?", why: fields["why"] ?? "")
        case "signal":
            self = .signal(fields["signal"] ?? "?", server: fields["server"] ?? "?")
        case "step", "watching", "stopped":
            return nil
        case _ where ["trace", "debug", "info"].contains(level):
            return nil
        default:
            let rest = fields.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
                .map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            let mark = level == "notice" ? "" : "\(level): "
            self = .remark(mark + message + (rest.isEmpty ? "" : " (\(rest))"))
        }
    }
}
