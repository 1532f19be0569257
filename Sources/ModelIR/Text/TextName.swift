/// Names in the graph's text: bare where they are plain, else between quotation marks.
enum TextName {
    /// Whether `[A-Za-z0-9_./-]+` matches one byte.
    static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// The name of a graph, parameter, output, layer or origin.
    static func text(_ name: String) -> String { !name.isEmpty && name.utf8.allSatisfy(isBare) ? name : quoted(name) }

    /// The name of an input. Digits alone are a value's number, so a name of digits is quoted.
    static func inputText(_ name: String) -> String { isNumber(name.utf8) ? quoted(name) : text(name) }

    static func isNumber(_ bytes: some Collection<UInt8>) -> Bool { !bytes.isEmpty && bytes.allSatisfy { (0x30...0x39).contains($0) } }

    /// The name of an open dimension: an identifier is bare, since a dimension may begin with a digit or a sign.
    static func symbolText(_ name: String) -> String {
        guard let first = name.utf8.first, isSymbol(first), !(0x30...0x39).contains(first), name.utf8.allSatisfy(isSymbol) else {
            return quoted(name)
        }
        return name
    }

    static func isSymbol(_ byte: UInt8) -> Bool { isBare(byte) && byte != UInt8(ascii: "-") && byte != UInt8(ascii: "/") }

    static func quoted(_ name: String) -> String {
        var result = "\""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                // Names come from files and the text goes to terminals: nothing in it may steer or reorder what is shown.
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: result += "\\u{\(String(scalar.value, radix: 16))}"
                default: result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    /// The shortest digits that read back as the same number; whole numbers without a fraction.
    static func number(_ value: Double) -> String {
        let digits = value.description
        return digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits
    }
}
