extension TextScanner {
    /// `f32[batch, 4]`
    mutating func valueType() throws(TextFailure) -> ValueType {
        skipSpaces()
        let start = offset
        let word = run { TextName.isBare($0) }
        guard let dtype = DType(rawValue: String(decoding: word, as: UTF8.self)) else { throw failure("expected a type", at: start) }
        try expect("[")
        var dims: [Dim] = []
        while !take("]") {
            if !dims.isEmpty { try expect(",") }
            dims.append(try dimension(depth: 0))
            guard dims.count <= limits.rank else { throw failure("a type has more than \(limits.rank) dimensions", at: start) }
        }
        return ValueType(dtype, Shape(dims))
    }

    /// A dimension, as the very tree that was printed: nothing is folded here.
    private mutating func dimension(depth: Int) throws(TextFailure) -> Dim {
        guard depth < limits.depth else { throw failure("a dimension nests deeper than \(limits.depth)") }
        guard let first = peek() else { throw failure("expected a dimension before the end of the text") }
        switch first {
        case UInt8(ascii: "("):
            try expect("(")
            let a = try dimension(depth: depth + 1)
            let isSum = take("+")
            if !isSum { try expect("*") }
            let b = try dimension(depth: depth + 1)
            try expect(")")
            return isSum ? .sum(a, b) : .product(a, b)
        case UInt8(ascii: "-"), 0x30...0x39: return .fixed(try integer())
        case UInt8(ascii: "\""): return .symbol(try quoted())
        default: break
        }
        let start = offset
        let word = try string(run(TextName.isSymbol), at: start)
        guard !word.isEmpty else { throw failure("expected a dimension \(found())") }
        guard nextIs("(") else { return .symbol(word) }
        guard ["floor", "ceil", "max"].contains(word) else { throw failure("unknown function '\(word)'", at: start) }
        try expect("(")
        let a = try dimension(depth: depth + 1)
        try expect(word == "max" ? "," : "/")
        skipSpaces()
        let place = offset
        let n = try integer()
        try expect(")")
        if word == "max" { return .maximum(a, n) }
        guard n > 0 else { throw failure("a divisor is positive", at: place) }
        return word == "floor" ? .floorQuotient(a, n) : .ceilQuotient(a, n)
    }

    /// What stands between attributes' `=` and the next one.
    mutating func attributeValue(depth: Int = 0) throws(TextFailure) -> TextValue {
        guard depth < limits.depth else { throw failure("lists nest deeper than \(limits.depth)") }
        switch peek() {
        case UInt8(ascii: "["):
            try expect("[")
            var items: [TextValue] = []
            while !take("]") {
                if !items.isEmpty { try expect(",") }
                if take("(") {
                    let before = try token(colons: false)
                    try expect(",")
                    items.append(.pair(before, try token(colons: false)))
                    try expect(")")
                } else if peek() == UInt8(ascii: "[") {
                    items.append(try attributeValue(depth: depth + 1))
                } else {
                    items.append(try tokenOrCall(colons: true))
                }
                guard items.count <= limits.attributeCount else { throw failure("a list has more than \(limits.attributeCount) items") }
            }
            return .list(items)
        default:
            return try tokenOrCall(colons: false)
        }
    }

    /// `relu`, or `leaky_relu(negative_slope=0.3)`.
    private mutating func tokenOrCall(colons: Bool) throws(TextFailure) -> TextValue {
        let name = try token(colons: colons)
        guard take("(") else { return .token(name) }
        var arguments: [(name: String, value: String)] = []
        while !take(")") {
            if !arguments.isEmpty { try expect(",") }
            let key = try token(colons: false)
            try expect("=")
            arguments.append((key, try token(colons: false)))
            guard arguments.count <= limits.attributeCount else { throw failure("too many arguments") }
        }
        return .call(name, arguments)
    }

    /// A number, a word, or in a list of ranges `1:10:2`.
    private mutating func token(colons: Bool) throws(TextFailure) -> String {
        skipSpaces()
        let start = offset
        let token = run { TextName.isBare($0) || $0 == UInt8(ascii: "+") || colons && $0 == UInt8(ascii: ":") }
        guard !token.isEmpty else { throw failure("expected a value \(found())") }
        return try string(token, at: start)
    }
}
