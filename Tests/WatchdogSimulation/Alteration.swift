import Watchdog

/// A change of every plan that has a command: it is left out, done twice, done after the one that follows it, or it says
/// that it was done and was not.
public struct Alteration: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case leaveOut = "leave-out"
        case `repeat`
        case swap, pretend
    }

    var kind: Kind
    var name: Command.Name

    public init?(_ kind: Kind, _ name: String) {
        guard let name = Command.Name(rawValue: name) else { return nil }
        self.kind = kind
        self.name = name
    }

    func applied(to commands: [Command]) -> [Command] {
        switch kind {
        case .leaveOut: return commands.filter { $0.name != name }
        case .pretend: return commands
        case .repeat: return commands.flatMap { $0.name == name ? [$0, $0] : [$0] }
        case .swap:
            guard let place = commands.firstIndex(where: { $0.name == name }), place + 1 < commands.count else {
                return commands
            }
            var commands = commands
            commands.swapAt(place, place + 1)
            return commands
        }
    }

    func pretends(_ command: Command) -> Bool { kind == .pretend && command.name == name }

    public static var names: [String] { Command.Name.allCases.map(\.rawValue) }
}
