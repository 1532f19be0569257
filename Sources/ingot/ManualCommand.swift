import ArgumentParser
import Conversion
import JSON

struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual",
        abstract: "Prints the manual page, made from the definitions of the commands.",
        discussion: """
            Examples:
              ingot manual | man -l -
              ingot manual > /usr/local/share/man/man1/ingot.1

            Completions for shells: ingot --generate-completion-script bash (or zsh, fish).
            """)

    func run() throws {
        guard let document = try? JSONValue.parse(Array(IngotCommand._dumpHelp().utf8)), let command = document["command"] else {
            throw CommandFailure(code: 70, message: "the commands' definitions can't be read")
        }
        Terminal.raw(ManualPage(command).text)
    }
}

/// A page for man(1) in the macros that every formatter knows.
struct ManualPage {
    private var lines: [String] = []

    var text: String { lines.joined(separator: "\n") + "\n" }

    init(_ command: JSONValue) {
        let abstract = command["abstract"]?.string ?? ""
        lines.append(".TH INGOT 1 \"\" \"ingot \(ingotVersion)\" \"User Commands\"")
        lines.append(".SH NAME")
        lines.append(Self.escaped("ingot - \(Self.uncapitalised(abstract))"))
        lines.append(".SH SYNOPSIS")
        lines.append(".B ingot")
        lines.append(".I command")
        lines.append("[options]")
        let subcommands = (command["subcommands"]?.array ?? []).filter { $0["commandName"]?.string != "help" }
        lines.append(".SH COMMANDS")
        for subcommand in subcommands { add(subcommand) }
        lines.append(".SH OPTIONS")
        for argument in command["arguments"]?.array ?? [] { add(argument: argument) }
        if let discussion = command["discussion"]?.string { addDiscussion(discussion) }
        lines.append(".SH EXIT STATUS")
        for (code, meaning) in Self.exitCodes {
            lines.append(".TP")
            lines.append(".B \(code)")
            lines.append(Self.escaped(meaning))
        }
    }

    private static let exitCodes = [
        (0, "done"), (1, "a difference: a proof failed"), (64, "usage"), (65, "bad data: a file breaks a rule of its format"),
        (66, "no input: it can't be opened or read"), (69, "understood, but not supported or not expressible"), (70, "internal error"),
        (73, "the output can't be written"),
    ]

    private mutating func add(_ command: JSONValue) {
        let name = command["commandName"]?.string ?? ""
        let arguments = (command["arguments"]?.array ?? []).filter { $0["shouldDisplay"]?.bool != false }
        let positional = arguments.filter { $0["kind"]?.string == "positional" }.map { argument -> String in
            let value = argument["valueName"]?.string ?? ""
            return argument["isOptional"]?.bool == true ? "[\(value)]" : value
        }
        lines.append(".SS \(Self.escaped((["ingot", name] + positional).joined(separator: " ") + " [options]"))")
        lines.append(Self.escaped(command["abstract"]?.string ?? ""))
        for argument in arguments
        where argument["preferredName"]?["name"]?.string != "help" && argument["preferredName"]?["name"]?.string != "version" {
            add(argument: argument)
        }
        if let discussion = command["discussion"]?.string { addDiscussion(discussion) }
    }

    private mutating func add(argument: JSONValue) {
        lines.append(".TP")
        let value = argument["valueName"]?.string ?? ""
        let names = (argument["names"]?.array ?? []).compactMap { name -> String? in
            guard let text = name["name"]?.string else { return nil }
            return (name["kind"]?.string == "short" ? "-" : "--") + text
        }
        let isFlag = argument["kind"]?.string == "flag"
        if names.isEmpty {
            lines.append(".I \(Self.escaped(value))")
        } else {
            lines.append(".B \(Self.escaped(names.joined(separator: ", ")))" + (isFlag ? "" : " \\fI\(Self.escaped(value))\\fR"))
        }
        var text = argument["abstract"]?.string ?? ""
        // The number of processors is this machine's, not the program's.
        if let fallback = argument["defaultValue"]?.string, value != "n" { text += " (default: \(fallback))" }
        lines.append(Self.escaped(text))
    }

    /// Paragraphs as they are; indented lines are examples.
    private mutating func addDiscussion(_ text: String) {
        var isExample = false
        lines.append(".PP")
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let indented = line.hasPrefix("  ")
            if indented != isExample { lines.append(indented ? ".nf" : ".fi") }
            isExample = indented
            lines.append(line.isEmpty ? ".PP" : Self.escaped(String(line)))
        }
        if isExample { lines.append(".fi") }
    }

    /// Text that no line of which is read as a request.
    private static func escaped(_ text: String) -> String {
        let safe = text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("\n", with: " ")
        return safe.hasPrefix(".") || safe.hasPrefix("'") ? "\\&" + safe : safe
    }

    private static func uncapitalised(_ text: String) -> String { text.prefix(1).lowercased() + text.dropFirst() }
}
