# Stand-ins for the commands of Windows that the probe uses, over a small world that is kept in $world. Each looks only at what the real one takes, and what
# is in $world.broken (a command, or a class of CIM) fails. Played after Microsoft's documentation of each command.
class RegistryKey {
    [hashtable]$Values; [string[]]$Below; [string]$Path
    [string[]] GetValueNames() {
        Assert-Whole "values of $($this.Path)"
        return [string[]]@($this.Values.Keys)
    }
    [string[]] GetSubKeyNames() { return $this.Below }
    [object] GetValue([string]$name) { return $this.Values[$name] }
    [object] GetValue([string]$name, [object]$otherwise, [Microsoft.Win32.RegistryValueOptions]$options) { return $this.Values[$name] }
    [Microsoft.Win32.RegistryValueKind] GetValueKind([string]$name) {
        $value = $this.Values[$name]
        if ($value -is [int]) { return 'DWord' }
        if ($value -is [long]) { return 'QWord' }
        if ($value -is [byte[]]) { return 'Binary' }
        if ($value -is [array]) { return 'MultiString' }
        return 'String'
    }
    [void] Close() { }
}

function Assert-Whole([string]$what) { if ($world.broken -contains $what) { throw "broken: $what" } }

function Get-Item {
    param([string]$LiteralPath)
    Assert-Whole $LiteralPath
    if ($LiteralPath.StartsWith('WSMan:\localhost\')) { return [pscustomobject]@{ Value = $world.wsman[$LiteralPath.Substring(17)] } }
    $key = $LiteralPath.Substring(10)
    if ($LiteralPath.StartsWith('Registry::HKEY_') -and $world.registry.ContainsKey($key)) {
        $below = @($world.registry.Keys | Where-Object { $_.StartsWith("$key\") } | ForEach-Object { $_.Substring($key.Length + 1).Split('\')[0] })
        return [RegistryKey]@{ Values = $world.registry[$key]; Below = $below; Path = $key }
    }
    throw (New-Object Management.Automation.ItemNotFoundException("Cannot find path '$key' because it does not exist."))
}

function Get-CimInstance {
    param([string]$ClassName, [string]$Namespace = 'root\cimv2', [string]$Filter, [string[]]$Property, [int]$OperationTimeoutSec)
    Assert-Whole $ClassName
    if (-not $world.cim.ContainsKey("$Namespace/$ClassName")) { throw 'Invalid class' }
    $parts = @($Filter -split ' OR ' | Where-Object { $_ })
    foreach ($row in $world.cim["$Namespace/$ClassName"]) {
        $taken = $parts.Count -eq 0
        foreach ($part in $parts) {
            if ($part -notmatch "^(\w+)(=| LIKE )'?([^']*?)'?$") { throw 'Invalid query' }
            $value = [string]$row[$Matches[1]]
            $taken = $taken -or $(if ($Matches[2] -eq '=') { $value -eq $Matches[3] } else { $value -like $Matches[3].Replace('%', '*') })
        }
        if ($taken) {
            $found = @{}
            foreach ($name in $Property) { $found[$name] = $row[$name] }
            [pscustomobject]$found
        }
    }
}

function Invoke-CimMethod {
    param($InputObject, [string]$MethodName)
    Assert-Whole $MethodName
    if ($null -eq $InputObject.Handle) { throw 'the instance has no key' }
    [pscustomobject]@{ User = 'player'; Domain = 'WS-01'; ReturnValue = 0 }
}

function Get-Service { param([string]$Name) Assert-Whole 'Get-Service'; [pscustomobject]@{ Name = $Name; Status = $world.winrm } }
function Get-NetTCPConnection { [CmdletBinding()] param([string]$State) Assert-Whole 'Get-NetTCPConnection'; $world.connections }
function Get-Process { [CmdletBinding()] param([int]$Id) if ($world.processes.ContainsKey($Id)) { [pscustomobject]$world.processes[$Id] } }
function Get-Command { [CmdletBinding()] param([string]$Name) if ($world.server) { $Name } }
function Get-WindowsFeature { [CmdletBinding()] param([string[]]$Name) foreach ($one in $Name) { [pscustomobject]@{ Name = $one; Installed = $true } } }

$world = @{
    broken = @(); winrm = 'Running'; server = $false
    wsman = @{
        'MaxEnvelopeSizekb' = '500'; 'Shell\MaxMemoryPerShellMB' = '2147483647'; 'Shell\MaxProcessesPerShell' = '2147483647'; 'Shell\MaxShellsPerUser' = '2147483647'
        'Service\AllowUnencrypted' = 'false'; 'Service\Auth\Basic' = 'false'
    }
    connections = @(
        [pscustomobject]@{ LocalPort = [uint16]5555; LocalAddress = '127.0.0.1'; OwningProcess = [uint32]77 }
        [pscustomobject]@{ LocalPort = [uint16]445; LocalAddress = '::'; OwningProcess = [uint32]4 }
    )
    processes = @{ 77 = @{ ProcessName = 'Ld9BoxHeadless'; Path = 'C:\Program Files\ldplayer9box\Ld9BoxHeadless.exe' } }
    cim = @{
        'root\cimv2/Win32_OperatingSystem' = @(@{
                Caption = 'Microsoft Windows 11 Pro'; BuildNumber = '22631'; ProductType = [uint32]1; LastBootUpTime = [DateTime]'2026-01-01T00:00:00Z'
                LocalDateTime = [DateTime]'2026-01-01T01:00:00Z'; TotalVisibleMemorySize = [uint64]33554432; FreePhysicalMemory = [uint64]25165824
            })
        'root\cimv2/Win32_ComputerSystem' = @(@{
                NumberOfLogicalProcessors = [uint32]16; HypervisorPresent = $false; UserName = 'WS-01\player'; AutomaticManagedPagefile = $true; Model = 'X'
            })
        'root\cimv2/Win32_Processor' = @(@{ Name = 'CPU'; VirtualizationFirmwareEnabled = $true; SecondLevelAddressTranslationExtensions = $true })
        'root\cimv2/Win32_LogicalDisk' = @(
            @{ DeviceID = 'C:'; DriveType = [uint32]3; Size = [uint64]1TB; FreeSpace = [uint64]400GB; FileSystem = 'NTFS' }
            @{ DeviceID = 'D:'; DriveType = [uint32]5; Size = $null; FreeSpace = $null; FileSystem = $null }
        )
        'root\Microsoft\Windows\DeviceGuard/Win32_DeviceGuard' = @(@{ VirtualizationBasedSecurityStatus = [uint32]0; SecurityServicesRunning = [uint32[]]@(0) })
        'root\cimv2/Win32_VideoController' = @(@{ Name = 'NVIDIA X'; DriverVersion = '31'; PNPDeviceID = 'PCI\VEN_10DE'; InfFilename = 'oem1.inf' })
        'root\cimv2/Win32_Process' = @(@{ Name = 'explorer.exe'; Handle = '2400'; ProcessId = [uint32]2400; SessionId = [uint32]1; ExecutablePath = $null })
        'root\cimv2/Win32_SystemDriver' = @(@{ Name = 'Ld9BoxSup'; State = 'Running'; StartMode = 'Manual' }, @{ Name = 'disk'; State = 'Running'; StartMode = 'Boot' })
        'root\cimv2\power/Win32_PowerSettingDataIndex' = @(@{
                InstanceID = 'Microsoft:PowerSettingDataIndex\{8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c}\AC\{29f6c1db-86da-48c5-9fdb-f2b67b1f44da}'; SettingIndexValue = [uint32]0
            })
        'root\cimv2/Win32_PageFileSetting' = @()
        'root\cimv2/Win32_Service' = @(
            @{ Name = 'WinRM'; State = 'Running'; StartMode = 'Auto'; DelayedAutoStart = $true }
            @{ Name = 'W32Time'; State = 'Running'; StartMode = 'Manual'; DelayedAutoStart = $false }
            @{ Name = 'WinDefend'; State = 'Running'; StartMode = 'Auto'; DelayedAutoStart = $false }
        )
        'root\cimv2/Win32_OptionalFeature' = @(@{ Name = 'VirtualMachinePlatform'; InstallState = [uint32]2 })
    }
    registry = @{
        'HKEY_USERS' = @{}
        'HKEY_USERS\S-1-5-21-1\SOFTWARE\XuanZhi\LDPlayer9' = @{ InstallDir = "$env:LDFLEET_FOLDER/"; DataDir = "$env:LDFLEET_FOLDER/vms" }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\FileSystem' = @{ LongPathsEnabled = 1 }
        'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion' = @{ DisplayVersion = '23H2'; UBR = 2715; EditionID = 'Professional' }
        'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon' = @{ AutoAdminLogon = '1'; DefaultUserName = 'player'; DefaultPassword = 'planted-secret' }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager' = @{}
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName' = @{ ComputerName = 'WS-01' }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName' = @{ ComputerName = 'ws-01' }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Power\User\PowerSchemes' = @{ ActivePowerScheme = '8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c' }
        'HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' = @{ NoAutoRebootWithLoggedOnUsers = 1; AUOptions = 4 }
        'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths' = @{ "$env:LDFLEET_FOLDER" = 0 }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\W32Time\Parameters' = @{ Type = 'NTP'; NtpServer = 'time.windows.com,0x9' }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\TimeZoneInformation' = @{ TimeZoneKeyName = 'UTC' }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server' = @{ fDenyTSConnections = 1 }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\DomainProfile' = @{ EnableFirewall = 1 }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\StandardProfile' = @{ EnableFirewall = 1 }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\PublicProfile' = @{ EnableFirewall = 1 }
        'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules' = @{
            'WINRM-HTTP-In-TCP' = 'v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5985|App=System|Name=x|'
            'Of a service' = 'v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|App=%SystemRoot%\system32\svchost.exe|Svc=x|Name=x|'
        }
    }
}
