import MySQLWire

/// What a CREATE statement of a dump makes, if it is a view, a routine, a trigger or an event.
struct ObjectName: CustomStringConvertible {
    let description: String
    let isEvent: Bool

    init?(_ create: [UInt8]) {
        // DEFINER=`user`@`host` and the like stand between the two words; names in backquotes are no words.
        let words = DefinitionText.words(Array(create.prefix(2000)))
        guard words.first?.word == "CREATE",
            let kind = words.prefix(12).first(where: {
                ["VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "TABLE", "DATABASE"].contains($0.word)
            }), !["TABLE", "DATABASE"].contains(kind.word)
        else { return nil }
        let name = create[kind.range.upperBound...].drop { $0 == UInt8(ascii: " ") }.prefix(200)
        let end =
            name.first == UInt8(ascii: "`") ? DefinitionText.endOfQuote(Array(name), from: 0) : min(name.count, 60)
        isEvent = kind.word == "EVENT"
        description = kind.word.lowercased() + " " + ItemText.oneLine(String(decoding: name.prefix(end), as: UTF8.self))
    }

    /// Whether a refusal speaks of the definition, and not of the server's state, the session or a right.
    static func isAboutObject(_ refusal: ServerError) -> Bool {
        // No room, memory or time, killed, read-only, ending; not allowed to make routines or triggers.
        ![
            1021, 1037, 1038, 1041, 1053, 1114, 1205, 1213, 1290, 1317, 1370, 1418, 1419, 1836, 3024, 3675,
        ].contains(refusal.number)
            && !refusal.isDenial
    }
}
