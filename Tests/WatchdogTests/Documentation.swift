import Foundation

/// The pages that tests compare with the code.
enum Documentation {
    static func page(_ name: String) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Documentation").appending(path: name)
    }
}
