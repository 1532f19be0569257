import TestSupport
import Testing

/// The manual page and the completions follow the commands.
@Suite struct ManualTests {
    @Test func theManualNamesEveryCommandAndOption() throws {
        let page = try Tool.run(["manual"])
        #expect(page.code == 0 && page.errorText == "" && page.text.hasPrefix(".TH INGOT 1"))
        for command in ["inspect", "convert", "run", "verify", "diff", "explain", "check", "formats"] {
            let help = try Tool.run([command, "--help"]).text
            #expect(page.text.contains(".SS ingot \(command)"), "\(command)")
            for word in help.split(whereSeparator: { " \n,".contains($0) })
            where word.hasPrefix("--") && word != "--help" && word != "--version" {
                #expect(page.text.contains(word.replacing("-", with: "\\-")), "\(command) \(word)")
            }
        }
        // Nothing in it is read as a request but what is one.
        let requests: Set<Substring> = [".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".nf", ".fi"]
        for line in page.text.split(separator: "\n") where line.hasPrefix(".") || line.hasPrefix("'") {
            #expect(requests.contains(line.prefix { $0 != " " }), "\(line)")
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completions(shell: String) throws {
        let script = try Tool.run(["--generate-completion-script", shell])
        #expect(script.code == 0)
        for command in ["inspect", "convert", "explain", "manual"] { #expect(script.text.contains(command)) }
    }
}
