# The command line and the agent. With the tray and the window, on macOS: the cask keyfob-app.
class Keyfob < Formula
  desc "Short-lived credentials for Bazel, AWS and Metaflow from one sign-in"
  homepage "@BASE@"
  version "@VERSION@"
  license :cannot_represent

  on_macos do
    depends_on macos: :monterey
    on_arm do
      url "@BASE@/v@VERSION@/Keyfob-@VERSION@-aarch64.zip"
      sha256 "@SHA256:Keyfob-@VERSION@-aarch64.zip@"
    end
    on_intel do
      url "@BASE@/v@VERSION@/Keyfob-@VERSION@-x86_64.zip"
      sha256 "@SHA256:Keyfob-@VERSION@-x86_64.zip@"
    end
  end

  on_linux do
    depends_on arch: :x86_64
    url "@BASE@/v@VERSION@/keyfob-@VERSION@-x86_64-unknown-linux-gnu.tar.gz"
    sha256 "@SHA256:keyfob-@VERSION@-x86_64-unknown-linux-gnu.tar.gz@"
  end

  def names
    %w[keyfob bazel-credential-keyfob docker-credential-keyfob git-credential-keyfob]
  end

  def install
    if OS.mac?
      # As it was signed: the keychain knows programs by the signature, which includes the bundle.
      (prefix/"Keyfob.app").install Dir["*"]
      names.each { |name| bin.install_symlink prefix/"Keyfob.app/Contents/MacOS"/name }
    else
      bin.install "bin/keyfob", "bin/keyfobd"
      (names - ["keyfob"]).each { |name| bin.install_symlink bin/"keyfob" => name }
      man1.install Dir["share/man/man1/*"].reject { |page| page.include?("keyfob-tray") }
      man5.install Dir["share/man/man5/*"]
      bash_completion.install "share/bash-completion/completions/keyfob"
      zsh_completion.install "share/zsh/vendor-completions/_keyfob"
      fish_completion.install "share/fish/vendor_completions.d/keyfob.fish"
    end
  end

  test do
    assert_equal "keyfob #{version}", shell_output("#{bin}/keyfob --version").strip
  end
end
