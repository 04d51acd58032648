import Logging

extension Step {
    /// Why it is done, or why nothing is; nil for steps that speak for themselves.
    package var reason: (code: Reason.Code, text: String)? {
        switch self {
        case .none(let reason), .wait(let reason), .withdraw(let reason), .abort(let reason):
            (reason.code, reason.description)
        case .promoteWithoutSource(_, let reason): (reason.code, reason.text)
        case .rebuild(_, _, let reason): (reason.code, reason.text)
        default: nil
        }
    }

    /// The same, with what passes by itself taken out: two steps that differ by that alone are no news.
    var lasting: Step {
        switch self {
        case .none(let reason): .none(reason.lasting)
        case .wait(let reason): .wait(reason.lasting)
        case .withdraw(let reason): .withdraw(reason.lasting)
        case .abort(let reason): .abort(reason.lasting)
        default: self
        }
    }

    /// A line of the log, with the reason's code.
    func log(to logger: Logger) {
        var metadata: Logger.Metadata = ["step": "\(self)"]
        if let reason { metadata["reason"] = "\(reason.code.rawValue)" }
        switch self {
        case .none(let why):
            if why != .nothingToDo { metadata["step"] = "\(self): \(why)" }
            logger.log(.waiting, metadata)
        case .wait: logger.log(.waiting, metadata)
        default: logger.log(.step, metadata)
        }
    }
}
