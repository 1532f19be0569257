extension Attention {
    /// Patterns of groups of heads are two lists: `head_groups=[2, 3] pattern=[causal, strided(stride=4)]`.
    var textAttributes: [String] {
        let shown: [String]
        if case .heads(let groups) = pattern {
            shown = ["head_groups=\(groups.map(\.count))", "pattern=[\(groups.map(\.pattern.text).joined(separator: ", "))]"]
        } else {
            shown = ["pattern=\(pattern.text)"]
        }
        return shown + ["scale=\(TextName.number(scale))"] + flag("key_mask", hasKeyMask) + flag("bias", hasBias)
            + flag("returns_weights", returnsWeights) + ["unattended=\(unattended.rawValue)"]
    }

    init(_ attributes: inout TextAttributes) throws(TextFailure) {
        let pattern: AttentionPattern
        if attributes.has("head_groups") {
            let counts = try attributes.ints("head_groups")
            let patterns = try attributes.patterns("pattern")
            guard counts.count == patterns.count else {
                throw TextFailure(
                    offset: attributes.offset, message: "attention has \(counts.count) groups of heads and \(patterns.count) patterns")
            }
            pattern = .heads(zip(counts, patterns).map { AttentionPattern.HeadGroup(count: $0, pattern: $1) })
        } else {
            pattern = try attributes.pattern("pattern")
        }
        self.init(
            pattern: pattern, scale: try attributes.number("scale"), hasKeyMask: try attributes.flag("key_mask"),
            hasBias: try attributes.flag("bias"), returnsWeights: try attributes.flag("returns_weights"),
            unattended: try attributes.option("unattended"))
    }
}

extension AttentionPattern {
    /// `full`, `sliding_window(before=3, after=0, dilation=1)`; a union is a list of its parts.
    public var text: String {
        switch self {
        case .full: "full"
        case .causal: "causal"
        case .slidingWindow(let before, let after, let dilation): "sliding_window(before=\(before), after=\(after), dilation=\(dilation))"
        case .strided(let stride): "strided(stride=\(stride))"
        case .fixed(let stride, let summary): "fixed(stride=\(stride), summary=\(summary))"
        case .blockLocal(let block, let before, let after, let causal):
            "\(causal ? "causal_" : "")block_local(block=\(block), before=\(before), after=\(after))"
        case .union(let parts): "[\(parts.map(\.text).joined(separator: ", "))]"
        case .heads(let groups): groups.map { "\($0.count) x \($0.pattern.text)" }.joined(separator: ", ")
        }
    }

    /// nil for an unknown name, a missing argument, or one too many.
    init?(_ value: TextValue) {
        switch value {
        case .token("full"): self = .full
        case .token("causal"): self = .causal
        case .token, .pair: return nil
        case .list:
            guard let parts = value.list({ AttentionPattern($0) }) else { return nil }
            self = .union(parts)
        case .call(let name, let arguments):
            let values = Dictionary(arguments.map { ($0.name, Int($0.value)) }, uniquingKeysWith: { first, _ in first })
            /// All arguments that the pattern takes, in order.
            func take(_ names: String...) -> [Int]? {
                let found = names.compactMap { values[$0] ?? nil }
                return found.count == names.count && arguments.count == names.count ? found : nil
            }
            switch name {
            case "sliding_window":
                guard let a = take("before", "after", "dilation") else { return nil }
                self = .slidingWindow(before: a[0], after: a[1], dilation: a[2])
            case "strided":
                guard let a = take("stride") else { return nil }
                self = .strided(stride: a[0])
            case "fixed":
                guard let a = take("stride", "summary") else { return nil }
                self = .fixed(stride: a[0], summary: a[1])
            case "block_local", "causal_block_local":
                guard let a = take("block", "before", "after") else { return nil }
                self = .blockLocal(block: a[0], before: a[1], after: a[2], causal: name == "causal_block_local")
            default: return nil
            }
        }
    }
}
